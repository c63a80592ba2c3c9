//! Two models that replace each other again and again: what was put last is what is used.

// A test that fails may stop.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use crate::common::{Board, OLD, id, new_model, provision, update};
use bumpalo::Bump;
use qdllm_app::mock::MockFlash;
use qdllm_link::message::Request;

const SLOT: u32 = 4096;

const OLD_LABEL: &str = "class light";
const NEW_LABEL: &str = "class LIGHT";

fn flash(views: &Bump) -> MockFlash<'_, 4, 512> {
    MockFlash::new(views, 2 * SLOT as usize)
}

#[test]
fn models_take_turns() {
    let (new, views) = (new_model(), Bump::new());
    for bare in [false, true] {
        let mut flash = flash(&views);
        if bare {
            flash.bytes[..OLD.len()].copy_from_slice(OLD);
        } else {
            provision(&mut flash, 0, OLD, 1);
        }
        let mut board = Board::new(flash, SLOT);
        for round in 0..3 {
            board.ask(&update(&new, 512));
            assert_eq!(board.label(), NEW_LABEL, "round {round}, bare {bare}");
            board.ask(&update(OLD, 512));
            assert_eq!(board.label(), OLD_LABEL, "round {round}, bare {bare}");
        }
        // A slot that began with a bare file was erased whole before it was written.
        assert_eq!(board.flash.violations, 0);
    }
}

#[test]
fn a_broken_update_is_gone_on_with_after_another_start() {
    // The model is there and complete, but the host was lost before it activated it.
    let (new, views) = (new_model(), Bump::new());
    let mut flash = flash(&views);
    provision(&mut flash, 0, OLD, 1);
    let mut board = Board::new(flash, SLOT);
    let mut requests = update(&new, 512);
    requests.pop();
    board.ask(&requests);
    let steps = board.flash.steps;
    let answers = board.ask(&[Request::Begin(id(&new)), Request::Finish(id(&new))]);
    assert_eq!(answers, [format!("Received({})", new.len()), format!("Received({})", new.len())]);
    assert_eq!(board.flash.steps, steps, "something was written again");
    board.ask(&[Request::Activate(id(&new))]);
    assert_eq!(board.label(), NEW_LABEL);
}

#[test]
fn the_model_before_is_not_activated_but_rolled_back_to() {
    let (new, views) = (new_model(), Bump::new());
    let mut flash = flash(&views);
    provision(&mut flash, 0, OLD, 1);
    let mut board = Board::new(flash, SLOT);
    board.ask(&update(&new, 512));
    assert_eq!(board.ask(&[Request::Activate(id(OLD))]), ["Fault { number: 147, expected: 0 }"]);
    assert_eq!(board.label(), NEW_LABEL);
    board.ask(&[Request::Rollback(id(&new))]);
    assert_eq!(board.label(), OLD_LABEL);
}

#[test]
fn putting_the_model_in_use_leaves_the_one_before_alone() {
    let (new, views) = (new_model(), Bump::new());
    let mut flash = flash(&views);
    provision(&mut flash, 0, OLD, 1);
    let mut board = Board::new(flash, SLOT);
    board.ask(&update(&new, 512));
    board.label();
    let steps = board.flash.steps;
    let answers = board.ask(&update(&new, 1024));
    assert_eq!(answers.last().unwrap(), "Switched { reset: false }");
    assert_eq!(board.flash.steps, steps, "something was written again");
    board.ask(&[Request::Rollback(id(&new))]);
    assert_eq!(board.label(), OLD_LABEL);
}
