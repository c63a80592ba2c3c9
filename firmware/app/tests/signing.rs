//! A board with a public key takes only models that are signed for it and not too old.
#![cfg(feature = "signing")]
// A test that fails may stop.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use crate::common::{self, Board, id, new_model, provision, renamed, update};
use bumpalo::Bump;
use ed25519_compact::{KeyPair, Seed};
use qdllm_app::mock::MockFlash;
use qdllm_link::message::Request;
use qdllm_runtime::format::signature::with_signature;

const SLOT: usize = 4096;

fn key(seed: u8) -> KeyPair {
    KeyPair::from_seed(Seed::new([seed; 32]))
}

/// A model signed with a key, of a version and with the lowest version after it.
fn signed(model: &[u8], pair: &KeyPair, version: u32, minimum: u32) -> Vec<u8> {
    let short = *pair.pk.first_chunk().unwrap();
    with_signature(model, version, minimum, short, |message| *pair.sk.sign(message, None)).unwrap()
}

/// A board with a key, and version 5 of the model that calls the sentence `first`.
fn board(views: &Bump) -> Board<'_, 4, 4096> {
    let pair = key(1);
    let mut flash = MockFlash::new(views, 2 * SLOT);
    provision(&mut flash, 0, &signed(&renamed(b"first"), &pair, 5, 5), 1);
    let mut board = Board::new(flash, SLOT as u32);
    board.config.key = Some(*pair.pk);
    board
}

/// Puts a model; gives the answer to `Finish` and what the board then calls the sentence.
fn put(board: &mut Board<'_, 4, 4096>, model: &[u8]) -> (String, String) {
    let answers = board.ask(&update(model, 512));
    (answers[answers.len() - 2].clone(), board.label())
}

#[test]
fn what_is_not_signed_for_this_board_is_refused_with_its_number() {
    let pair = key(1);
    let new = new_model();
    let good = signed(&new, &pair, 6, 6);
    let flipped = {
        let mut bytes = good.clone();
        bytes[good.len() - 40] ^= 1;
        common::sealed(bytes)
    };
    let claimed = {
        // The version raised after signing.
        let old = signed(&new, &pair, 4, 4);
        let mut bytes = old.clone();
        bytes[old.len() - 4 - 80] = 9;
        common::sealed(bytes)
    };
    let pretending = {
        // Another key under the board's name.
        let other = key(2);
        let short = *pair.pk.first_chunk().unwrap();
        with_signature(&new, 6, 6, short, |message| *other.sk.sign(message, None)).unwrap()
    };
    let cases = [
        ("unsigned", new.clone(), 150),
        ("another key", signed(&new, &key(2), 6, 6), 151),
        ("another key under this one's name", pretending, 152),
        ("signature damaged", flipped, 152),
        ("version raised", claimed, 152),
        ("older", signed(&new, &pair, 4, 4), 153),
    ];
    for (what, model, number) in cases {
        let views = Bump::new();
        let mut board = board(&views);
        let (finish, label) = put(&mut board, &model);
        assert_eq!(finish, format!("Fault {{ number: {number}, expected: {} }}", 0), "{what}");
        assert_eq!(label, "class first", "{what}");
        assert_eq!(board.flash.violations, 0);
    }
    let views = Bump::new();
    let mut board = board(&views);
    assert_eq!(put(&mut board, &good).1, "class LIGHT");
}

#[test]
fn a_model_longer_than_a_slot_is_refused_before_anything_is_erased() {
    let views = Bump::new();
    let mut board = board(&views);
    let before = board.flash.bytes.to_vec();
    let mut model = id(&new_model());
    model.length = (SLOT - 256 + 1) as u32;
    assert_eq!(board.ask(&[Request::Begin(model)]), ["Fault { number: 130, expected: 0 }"]);
    assert_eq!(board.flash.bytes, before);
    assert_eq!(board.label(), "class first");
}

#[test]
fn the_lowest_version_rises_with_confirmed_models_and_never_falls() {
    let pair = key(1);
    let views = Bump::new();
    let mut board = board(&views);
    // Version 9 that still allows 6: going back to the first one, version 5, would lower the minimum.
    let nine = signed(&renamed(b"nine."), &pair, 9, 6);
    assert_eq!(put(&mut board, &nine).1, "class nine.");
    assert_eq!(board.ask(&[Request::Rollback(id(&nine))]), ["Fault { number: 153, expected: 0 }"]);
    // Version 7, older than the one in use but not too old, and with a lower minimum of its own.
    let seven = signed(&renamed(b"seven"), &pair, 7, 1);
    assert_eq!(put(&mut board, &seven).1, "class seven");
    // Its own minimum is 1; the board's stays 6.
    let five = signed(&renamed(b"five."), &pair, 5, 5);
    assert_eq!(
        put(&mut board, &five),
        ("Fault { number: 153, expected: 0 }".into(), "class seven".into())
    );
    let six = signed(&renamed(b"six.."), &pair, 6, 6);
    assert_eq!(put(&mut board, &six).1, "class six..");
}

#[test]
fn a_signed_model_with_any_bit_flipped_is_refused() {
    let pair = key(1);
    let good = signed(&new_model(), &pair, 6, 6);
    // With the checksum made right again only the signature stands against it.
    for bit in (0..8 * (good.len() - 4)).step_by(97) {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let views = Bump::new();
        let mut board = board(&views);
        let (finish, label) = put(&mut board, &common::sealed(bytes));
        assert!(finish.starts_with("Fault"), "bit {bit}: {finish}");
        assert_eq!(label, "class first", "bit {bit}");
    }
}
