//! An index map applied to amplitudes where they lie.

use crate::linear::LinearMap;
use crate::state::DIM;

/// Index bits of the lower of two tables.
const SPLIT: usize = 6;

/// Moves entry `x` of both planes (of equal, power-of-two length) to index `map(x)`; the map must be
/// invertible on their indices. Writes 480 bytes beside the planes.
pub(crate) fn permute<T: Copy>(map: &LinearMap, re: &mut [T], im: &mut [T]) {
    let mut low = [0_u16; 1 << SPLIT];
    let mut high = [0_u16; DIM >> SPLIT];
    for (x, y) in low.iter_mut().enumerate() {
        *y = map.apply(x as u16);
    }
    for (x, y) in high.iter_mut().enumerate() {
        *y = map.linear((x << SPLIT) as u16);
    }
    let image = |x: usize| {
        let y = low[x & ((1 << SPLIT) - 1)] ^ high[(x >> SPLIT) & ((DIM >> SPLIT) - 1)];
        y as usize & (DIM - 1)
    };
    let dim = re.len();
    let mut done = [0_u32; DIM / 32];
    for first in 0..dim {
        let mut x = first;
        let (Some(&r), Some(&i)) = (re.get(first), im.get(first)) else {
            return;
        };
        let mut held = (r, i);
        // Each cycle is walked once: a set bit means that the index already has its amplitude.
        // The mask changes nothing; with it no bounds check, and so no panic, is compiled.
        let word = |x: usize| (x & (DIM - 1)) / 32;
        while done[word(x)] >> (x % 32) & 1 == 0 {
            done[word(x)] |= 1 << (x % 32);
            let y = image(x);
            let (Some(r), Some(i)) = (re.get_mut(y), im.get_mut(y)) else {
                return;
            };
            held = (core::mem::replace(r, held.0), core::mem::replace(i, held.1));
            x = y;
        }
    }
}
