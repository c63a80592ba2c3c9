//! A board with a public key takes only models that are signed for it and not too old.
#![cfg(feature = "signing")]
// A test that fails may stop.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use crate::common::{self, Board, begin, id, new_model, provision, renamed, update};
use bumpalo::Bump;
use ed25519_compact::{KeyPair, Seed};
use qdllm_app::mock::MockFlash;
use qdllm_link::message::{Announced, ModelId, Request};
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

/// Puts a model; gives the answers to what begins it and to `Finish`, and what the board then calls the
/// sentence.
fn put(board: &mut Board<'_, 4, 4096>, requests: &[Request<'_>]) -> [String; 3] {
    let answers = board.ask(requests);
    [answers[0].clone(), answers[answers.len() - 2].clone(), board.label()]
}

/// The answer that refuses with this number.
fn refused(number: u8) -> String {
    format!("Fault {{ number: {number}, expected: 0 }}")
}

/// Puts a model and expects it to be used under this name.
fn used(board: &mut Board<'_, 4, 4096>, model: &[u8], label: &str) {
    let received = format!("Received({})", model.len());
    assert_eq!(put(board, &update(model, 512)), ["Received(0)".into(), received, label.into()]);
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
    let hidden = {
        // As long as the good one, its signature under a number that nobody knows.
        let mut bytes = good.clone();
        let at = bytes.windows(2).position(|kind| kind == [0x11, 0x80]).unwrap();
        bytes[at] = 0x7f;
        common::sealed(bytes)
    };
    // What refuses it when it begins by what itself says, if anything, and what refuses it whole, when it comes
    // under the announcement of the good one.
    let cases = [
        ("unsigned", hidden, Some(154), 150),
        ("another key", signed(&new, &key(2), 6, 6), Some(152), 151),
        ("another key under this one's name", pretending, Some(152), 152),
        ("signature damaged", flipped, None, 152),
        ("version raised", claimed, Some(152), 152),
        ("older", signed(&new, &pair, 4, 4), Some(153), 153),
    ];
    let Request::BeginSigned { announced, .. } = begin(&good) else { panic!("not announced") };
    for (what, model, first, last) in cases {
        let views = Bump::new();
        let mut board = board(&views);
        let mut requests = update(&model, 512);
        if let Some(first) = first {
            let before = board.flash.bytes.clone();
            let [begun, finish, label] = put(&mut board, &requests);
            assert_eq!((begun, finish), (refused(first), refused(140)), "{what}");
            assert_eq!(label, "class first", "{what}");
            assert_eq!(board.flash.bytes, before, "{what}");
        }
        requests[0] = Request::BeginSigned { model: id(&model), announced };
        let [begun, finish, label] = put(&mut board, &requests);
        assert_eq!((begun, finish), ("Received(0)".into(), refused(last)), "{what}");
        assert_eq!(label, "class first", "{what}");
        assert_eq!(board.flash.violations, 0);
    }
    let views = Bump::new();
    used(&mut board(&views), &good, "class LIGHT");
}

#[test]
fn a_stranger_erases_nothing_and_the_keys_owner_not_without_end() {
    let pair = key(1);
    let views = Bump::new();
    let mut board = board(&views);
    let spare = signed(&renamed(b"spare"), &pair, 5, 5);
    provision(&mut board.flash, SLOT as u32, &spare, 0);
    let before = board.flash.bytes.clone();
    let good = signed(&new_model(), &pair, 6, 6);
    let Request::BeginSigned { announced, .. } = begin(&good) else { panic!("not announced") };
    let model = id(&good);
    let stranger: Vec<Request<'_>> = (0..200)
        .map(|checksum| {
            let model = ModelId { checksum, ..model };
            // Half of them with an announcement of another length, version, content or lowest version, or cut.
            let wrong = match checksum % 10 {
                0 => Announced { version: 7, ..announced },
                1 => Announced { minimum: 5, ..announced },
                2 => Announced { body: 5, ..announced },
                3 => Announced { signature: &announced.signature[1..], ..announced },
                4 => {
                    let model = ModelId { length: model.length - 32, ..model };
                    return Request::BeginSigned { model, announced };
                }
                _ => return Request::Begin(model),
            };
            Request::BeginSigned { model, announced: wrong }
        })
        .collect();
    for (i, answer) in board.ask(&stranger).iter().enumerate() {
        assert_eq!(*answer, refused(if i % 10 < 5 { 152 } else { 154 }), "{i}");
    }
    assert_eq!(board.flash.bytes, before);
    // What was announced may be begun, but not as often as somebody likes who has heard it.
    let again = |checksum| Request::BeginSigned { model: ModelId { checksum, ..model }, announced };
    let answers = board.ask(&(0..200).map(again).collect::<Vec<_>>());
    assert_eq!(answers.iter().filter(|answer| *answer == "Received(0)").count(), 16);
    assert!(answers[16..].iter().all(|answer| answer.contains("number: 148")), "{answers:?}");
    // From the next reset on the owner's model is taken, and a transfer under way gone on with by its id alone.
    let views = Bump::new();
    let mut board = self::board(&views);
    let answers = board.ask(&[begin(&good), Request::Begin(model), Request::Begin(id(&spare))]);
    assert_eq!(answers[..2], ["Received(0)", "Received(0)"]);
    assert_eq!(answers[2], refused(154));
    used(&mut board, &good, "class LIGHT");
}

#[test]
fn a_board_without_a_key_takes_an_announced_model_as_any_other() {
    let views = Bump::new();
    let mut board = board(&views);
    board.config.key = None;
    used(&mut board, &signed(&new_model(), &key(2), 1, 1), "class LIGHT");
}

#[test]
fn a_model_longer_than_a_slot_is_refused_before_anything_is_erased() {
    let views = Bump::new();
    let mut board = board(&views);
    let before = board.flash.bytes.clone();
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
    used(&mut board, &nine, "class nine.");
    assert_eq!(board.ask(&[Request::Rollback(id(&nine))]), [refused(153)]);
    // That is said before somebody needs it, to the host and to a person.
    let slots = board.ask(&[Request::Slot(0), Request::Slot(1)]);
    assert!(slots[0].contains("fault: 153") && slots[1].contains("fault: 0"), "{slots:?}");
    let said = String::from_utf8_lossy(&board.hear(b":info\n")).into_owned();
    assert!(said.contains("\tslot0=!153\tslot1=active\r\n"), "{said}");
    // Version 7, older than the one in use but not too old, and with a lower minimum of its own.
    let seven = signed(&renamed(b"seven"), &pair, 7, 1);
    used(&mut board, &seven, "class seven");
    // Version 9 may be gone back to: it lowers nothing.
    assert!(board.ask(&[Request::Slot(1)])[0].contains("fault: 0"));
    // Its own minimum is 1; the board's stays 6.
    let five = signed(&renamed(b"five."), &pair, 5, 5);
    let [begun, _, label] = put(&mut board, &update(&five, 512));
    assert_eq!((begun, label), (refused(153), "class seven".into()));
    used(&mut board, &signed(&renamed(b"six.."), &pair, 6, 6), "class six..");
}

#[test]
fn a_signed_model_with_any_bit_flipped_is_refused() {
    let pair = key(1);
    let good = signed(&new_model(), &pair, 6, 6);
    let Request::BeginSigned { announced, .. } = begin(&good) else { panic!("not announced") };
    // With the checksum made right again only the signature stands against it.
    for bit in (0..8 * (good.len() - 4)).step_by(97) {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let views = Bump::new();
        let mut board = board(&views);
        let bytes = common::sealed(bytes);
        let mut requests = vec![Request::BeginSigned { model: id(&bytes), announced }];
        for (i, data) in bytes.chunks(512).enumerate() {
            requests.push(Request::Chunk { offset: 512 * i as u32, data });
        }
        requests.extend([Request::Finish(id(&bytes)), Request::Activate(id(&bytes))]);
        let [_, finish, label] = put(&mut board, &requests);
        assert!(finish.starts_with("Fault"), "bit {bit}: {finish}");
        assert_eq!(label, "class first", "bit {bit}");
    }
}

#[test]
fn the_key_is_taken_as_keygen_gives_it_and_what_is_none_locks_the_board() {
    let pair = key(1);
    let digits: String = pair.pk.iter().map(|byte| format!("{byte:02x}")).collect();
    let views = Bump::new();
    let mut board = board(&views);
    board.config = board.config.with_key(&digits.to_uppercase());
    assert_eq!(board.config.key, Some(*pair.pk));
    let model = signed(&new_model(), &pair, 6, 6);
    for text in ["", "0", &digits[1..], &format!("{digits}00"), &digits.replace(&digits[..1], "g")]
    {
        board.config = board.config.with_key(text);
        assert_eq!(board.config.key, Some([0; 32]), "{text}");
        assert_eq!(put(&mut board, &update(&model, 512))[0], refused(152), "{text}");
    }
    board.config = board.config.with_key(&digits);
    used(&mut board, &model, "class LIGHT");
}
