//! Damaged slots: every flipped bit and every truncation is refused with a number, and the board goes
//! on with the other slot or, without one, says the number.

// A test that fails may stop.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use crate::common::{self, Board, OLD, new_model, provision, provision_until, sealed};
use bumpalo::Bump;
use qdllm_app::mock::MockFlash;
use qdllm_link::message::Request;
use qdllm_link::slot::{HEADER_BYTES, Mark};
use qdllm_link::{Fault, frame, message::Response};

const SLOT: usize = 4096;

/// What the board says stands against a slot's model; 0 is nothing.
fn fault_of(board: &mut Board<'_, 4, 4096>, slot: u8) -> u8 {
    let output = board.hear(&common::frames(&[Request::Slot(slot)]));
    let frames = common::sealed_frames(&output);
    let (_, response) = frame::open::<Response<'_>>(&frames[0]).unwrap();
    match response {
        Response::Slot(slot) => slot.fault,
        other => panic!("{other:?}"),
    }
}

/// Two slots: the old model in the first, the newer in the second.
fn two<'m>(views: &'m Bump) -> Board<'m, 4, 4096> {
    let mut flash = MockFlash::new(views, 2 * SLOT);
    provision(&mut flash, 0, OLD, 1);
    provision(&mut flash, SLOT as u32, &new_model(), 2);
    Board::new(flash, SLOT as u32)
}

#[test]
fn every_flipped_bit_of_header_and_model_is_refused_and_the_other_slot_answers() {
    let mut seen = [0_u32; 256];
    let used = HEADER_BYTES + OLD.len();
    for bit in 0..8 * used {
        let views = Bump::new();
        let mut board = two(&views);
        board.flash.bytes[SLOT + bit / 8] ^= 1 << (bit % 8);
        assert_eq!(board.label(), "class light", "bit {bit}");
        let number = fault_of(&mut board, 1);
        assert!(Fault::from_number(number).is_some(), "bit {bit}: {number}");
        assert_ne!(number, 0, "bit {bit}");
        seen[usize::from(number)] += 1;
    }
    let numbers: Vec<_> = seen.iter().enumerate().filter(|(_, count)| **count > 0).collect();
    println!("{} bits, by number: {numbers:?}", 8 * used);
}

#[test]
fn every_flipped_bit_of_the_only_model_is_refused_or_heals() {
    for bit in 0..8 * (HEADER_BYTES + OLD.len()) {
        let views = Bump::new();
        let mut flash = MockFlash::<4, 4096>::new(&views, 2 * SLOT);
        provision(&mut flash, 0, OLD, 1);
        let mut board = Board::new(flash, SLOT as u32);
        board.flash.bytes[bit / 8] ^= 1 << (bit % 8);
        let number = fault_of(&mut board, 0);
        assert_ne!(number, 0, "bit {bit}");
        let label = board.label();
        // The model itself is whole where only a mark is damaged, and nothing else is left.
        if number == Fault::SlotMark.number() {
            assert_eq!(label, "class light", "bit {bit}");
        } else {
            assert_eq!(label, format!("Fault {{ number: {number}, expected: 0 }}"), "bit {bit}");
        }
    }
}

#[test]
fn every_truncation_of_a_slot_is_refused() {
    for kept in 0..HEADER_BYTES + OLD.len() {
        let views = Bump::new();
        let mut board = two(&views);
        // The rest was never written.
        board.flash.bytes[SLOT + kept..].fill(0xff);
        assert_ne!(fault_of(&mut board, 1), 0, "{kept} bytes");
        assert_eq!(board.label(), "class light", "{kept} bytes");
    }
}

#[test]
fn every_truncation_of_a_put_is_refused_and_nothing_changes() {
    let new = new_model();
    for kept in (16..new.len()).step_by(4) {
        let views = Bump::new();
        let mut flash = MockFlash::<4, 4096>::new(&views, 2 * SLOT);
        provision(&mut flash, 0, OLD, 1);
        let mut board = Board::new(flash, SLOT as u32);
        let answers = board.ask(&common::update(&new[..kept], 512));
        let [.., finish, activate] = &answers[..] else { panic!("{answers:?}") };
        assert!(finish.starts_with("Fault"), "{kept}: {finish}");
        assert!(activate.starts_with("Fault"), "{kept}: {activate}");
        assert_eq!(board.label(), "class light", "{kept}");
    }
}

#[test]
fn a_model_that_fails_its_probe_is_given_up_and_the_old_one_stays() {
    // Infinite logits: the file is sound, and no probability comes out.
    let mut bytes = OLD.to_vec();
    let container = qdllm_runtime::format::Container::parse(OLD).unwrap();
    let head = container.get(qdllm_runtime::format::Kind::Head).unwrap();
    let at = head.as_ptr() as usize - OLD.as_ptr() as usize;
    for weight in bytes[at..at + head.len()].chunks_exact_mut(4) {
        weight.copy_from_slice(&f32::MAX.to_le_bytes());
    }
    let bad = sealed(bytes);
    let views = Bump::new();
    let mut flash = MockFlash::<4, 4096>::new(&views, 2 * SLOT);
    provision(&mut flash, 0, OLD, 1);
    let mut board = Board::new(flash, SLOT as u32);
    let answers = board.ask(&common::update(&bad, 512));
    assert_eq!(answers.last().unwrap(), "Switched { reset: true }");
    assert_eq!(board.label(), "class light");
    assert_eq!(fault_of(&mut board, 1), Fault::SlotRejected.number());
    assert_eq!(board.flash.violations, 0);
}

#[test]
fn a_trial_that_ended_in_a_reset_is_given_up() {
    let views = Bump::new();
    let mut flash = MockFlash::<4, 4096>::new(&views, 2 * SLOT);
    provision(&mut flash, 0, OLD, 1);
    provision_until(&mut flash, SLOT as u32, &new_model(), 2, Mark::Started);
    let mut board = Board::new(flash, SLOT as u32);
    assert_eq!(board.label(), "class light");
    assert_eq!(fault_of(&mut board, 1), Fault::SlotRejected.number());
}

#[test]
fn rolling_back_and_forward() {
    let views = Bump::new();
    let mut board = two(&views);
    assert_eq!(board.label(), "class LIGHT");
    let (old, new) = (common::id(OLD), common::id(&new_model()));
    assert_eq!(board.ask(&[Request::Rollback(old)]), ["Fault { number: 144, expected: 0 }"]);
    assert_eq!(board.ask(&[Request::Rollback(new)]), ["Switched { reset: true }"]);
    assert_eq!(board.label(), "class light");
    assert_eq!(board.ask(&[Request::Rollback(old)]), ["Fault { number: 145, expected: 0 }"]);
    assert_eq!(board.ask(&[Request::Activate(new)]), ["Fault { number: 125, expected: 0 }"]);
    // What was given up can be put again.
    board.ask(&common::update(&new_model(), 1024));
    assert_eq!(board.label(), "class LIGHT");
    assert_eq!(board.ask(&[Request::Activate(new)]), ["Switched { reset: false }"]);
}
