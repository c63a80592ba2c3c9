//! Power fails at every step of an update, and at every step of every start after that.

// A test that fails may stop.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use crate::common::{Board, OLD, frames, new_model, provision, update};
use bumpalo::Bump;
use qdllm_app::mock::MockFlash;

/// Slots of two sectors or of one.
const SLOT_BYTES: u32 = 2048;

/// What the two models call the sentence.
const OLD_LABEL: &str = "class light";
const NEW_LABEL: &str = "class LIGHT";

/// How often each outcome was met.
#[derive(Debug, Default)]
struct Tally {
    cuts: u64,
    cuts_again: u64,
    old: u64,
    new: u64,
}

/// One cut in so many is followed by a second update.
const REPEATED: u64 = 16;

/// Cuts an update of a board that has the old model, in slot `at`, at every step: between two bytes,
/// or `torn` within one. `again`: the new model lies in the other slot already, from before the old one.
fn every_cut<const W: usize, const E: usize>(at: u32, torn: bool, again: bool) -> Tally {
    let new = new_model();
    let input = frames(&update(&new, 512));
    let ground = Bump::new();
    let mut flash = MockFlash::<W, E>::new(&ground, 2 * SLOT_BYTES as usize);
    provision(&mut flash, at, OLD, 2);
    if again {
        provision(&mut flash, SLOT_BYTES - at, &new, 1);
    }
    let whole = {
        let views = Bump::new();
        let mut board = Board::new(flash.with_views(&views), SLOT_BYTES);
        board.hear(&input);
        assert_eq!(board.label(), NEW_LABEL);
        assert_eq!(board.flash.violations, 0);
        board.flash.steps
    };
    let mut tally = Tally::default();
    for cut in 0..whole {
        let views = Bump::new();
        let mut board = Board::new(flash.with_views(&views), SLOT_BYTES);
        board.flash.torn = torn;
        board.flash.cut_after(cut);
        board.hear(&input);
        assert!(board.flash.left == 0, "cut {cut}");
        tally.cuts += 1;
        let after = board.flash;

        // The start after the cut, undisturbed.
        let views = Bump::new();
        let mut board = Board::new(after.with_views(&views), SLOT_BYTES);
        board.flash.left = u64::MAX;
        let label = board.label();
        match label.as_str() {
            OLD_LABEL => tally.old += 1,
            NEW_LABEL => tally.new += 1,
            _ => panic!("cut {cut} of {whole}: {label}"),
        }
        let steps = board.flash.steps;
        // What a start decided, the next one decides, too.
        assert_eq!(board.label(), label, "cut {cut}");
        assert_eq!(board.flash.violations, 0, "cut {cut}");
        // Whatever it was, the same update can be done again and holds.
        if cut % REPEATED == 0 || label == NEW_LABEL {
            board.hear(&input);
            assert_eq!(board.label(), NEW_LABEL, "cut {cut}");
            assert_eq!(board.flash.violations, 0, "cut {cut}");
        }

        // The same start, cut at every one of its steps, then a start undisturbed.
        for again in 0..steps {
            let views = Bump::new();
            let mut board = Board::new(after.with_views(&views), SLOT_BYTES);
            board.flash.left = u64::MAX;
            board.flash.cut_after(again);
            board.label();
            board.flash.left = u64::MAX;
            let label = board.label();
            assert!(
                [OLD_LABEL, NEW_LABEL].contains(&label.as_str()),
                "cut {cut}, {again}: {label}"
            );
            assert_eq!(board.flash.violations, 0, "cut {cut}, {again}");
            tally.cuts_again += 1;
        }
    }
    tally
}

fn holds<const W: usize, const E: usize>(at: u32) {
    holds_where::<W, E>(at, false);
}

fn holds_where<const W: usize, const E: usize>(at: u32, again: bool) {
    for torn in [false, true] {
        let tally = every_cut::<W, E>(at, torn, again);
        println!("writes of {W}, sectors of {E}, old model at {at}, torn {torn}: {tally:?}");
        assert_eq!(tally.cuts, tally.old + tally.new);
        assert!(tally.old > 1500, "{tally:?}");
        if !torn {
            // The start after an activation that just came through tries the new model.
            assert!(tally.new > 0 && tally.cuts_again >= 64, "{tally:?}");
        }
    }
}

#[test]
fn writes_of_4_and_small_sectors() {
    holds::<4, 512>(0);
}

#[test]
fn writes_of_4_the_other_way_round() {
    holds::<4, 512>(SLOT_BYTES);
}

#[test]
fn writes_of_1_and_one_sector_a_slot() {
    holds::<1, 2048>(0);
}

#[test]
fn a_model_that_comes_back_over_itself() {
    holds_where::<4, 1024>(0, true);
}

#[test]
fn writes_of_32() {
    holds::<32, 1024>(SLOT_BYTES);
}

#[test]
fn writes_of_8() {
    holds::<8, 256>(0);
}
