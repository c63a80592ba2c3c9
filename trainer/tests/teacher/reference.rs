//! The llama forward pass written out in plain f64 loops: slow, obvious, and what the fast one is held against.

use super::tiny::{BASE, BLOCKS, EPSILON, HEADS, KV_HEADS, WIDTH, Weights};

type Rows = Vec<Vec<f64>>;

/// Hidden states of one sequence: `[layer][token][WIDTH]`, layer 0 the embedding, the last one normed.
pub fn states(weights: &Weights, ids: &[u32]) -> Vec<Rows> {
    let mut x: Rows =
        ids.iter().map(|&id| row(weights, "token_embd.weight", id as usize)).collect();
    let mut out = vec![x.clone()];
    for block in 0..BLOCKS {
        let name = |part: &str| format!("blk.{block}.{part}.weight");
        let normed: Rows =
            x.iter().map(|v| norm(v, &row(weights, &name("attn_norm"), 0))).collect();
        let project = |part: &str, v: &[f64]| multiply(weights, &name(part), v);
        let queries: Rows =
            normed.iter().enumerate().map(|(t, v)| rotate(&project("attn_q", v), t)).collect();
        let keys: Rows =
            normed.iter().enumerate().map(|(t, v)| rotate(&project("attn_k", v), t)).collect();
        let values: Rows = normed.iter().map(|v| project("attn_v", v)).collect();
        for t in 0..ids.len() {
            let mixed = attend(&queries[t], &keys[..=t], &values[..=t]);
            let step = project("attn_output", &mixed);
            x[t].iter_mut().zip(step).for_each(|(x, s)| *x += s);
        }
        for v in &mut x {
            let normed = norm(v, &row(weights, &name("ffn_norm"), 0));
            let (gate, up) = (project("ffn_gate", &normed), project("ffn_up", &normed));
            let hidden: Vec<f64> =
                gate.iter().zip(up).map(|(g, u)| g / (1.0 + (-g).exp()) * u).collect();
            let step = project("ffn_down", &hidden);
            v.iter_mut().zip(step).for_each(|(x, s)| *x += s);
        }
        out.push(x.clone());
    }
    let last = out.last_mut().unwrap();
    last.iter_mut().for_each(|v| *v = norm(v, &row(weights, "output_norm.weight", 0)));
    out
}

/// Log-probabilities of the token after the sequence; the output matrix is the embedding's.
pub fn next_token(weights: &Weights, ids: &[u32]) -> Vec<f64> {
    let states = states(weights, ids);
    let logits = multiply(weights, "token_embd.weight", states.last().unwrap().last().unwrap());
    let top = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum = logits.iter().map(|v| (v - top).exp()).sum::<f64>().ln() + top;
    logits.into_iter().map(|v| v - sum).collect()
}

fn attend(query: &[f64], keys: &[Vec<f64>], values: &[Vec<f64>]) -> Vec<f64> {
    let size = WIDTH / HEADS;
    let mut out = Vec::with_capacity(WIDTH);
    for head in 0..HEADS {
        let shared = head / (HEADS / KV_HEADS) * size;
        let q = &query[head * size..(head + 1) * size];
        let score = |k: &Vec<f64>| dot(q, &k[shared..shared + size]) / (size as f64).sqrt();
        let weights: Vec<f64> = keys.iter().map(|k| score(k).exp()).collect();
        let total: f64 = weights.iter().sum();
        for i in 0..size {
            out.push(weights.iter().zip(values).map(|(w, v)| w / total * v[shared + i]).sum());
        }
    }
    out
}

/// Rotates neighbouring pairs of every head by the position.
fn rotate(v: &[f64], position: usize) -> Vec<f64> {
    let size = WIDTH / HEADS;
    let mut out = v.to_vec();
    for pair in 0..v.len() / 2 {
        let i = (2 * pair) % size;
        let (sin, cos) = (position as f64 * BASE.powf(-(i as f64) / size as f64)).sin_cos();
        let (a, b) = (v[2 * pair], v[2 * pair + 1]);
        (out[2 * pair], out[2 * pair + 1]) = (a * cos - b * sin, a * sin + b * cos);
    }
    out
}

fn norm(v: &[f64], gain: &[f64]) -> Vec<f64> {
    let scale = 1.0 / (dot(v, v) / v.len() as f64 + EPSILON).sqrt();
    v.iter().zip(gain).map(|(v, g)| v * scale * g).collect()
}

fn multiply(weights: &Weights, name: &str, v: &[f64]) -> Vec<f64> {
    (0..weights[name].0[0]).map(|i| dot(&row(weights, name, i), v)).collect()
}

fn row(weights: &Weights, name: &str, i: usize) -> Vec<f64> {
    let (shape, values) = &weights[name];
    let columns = shape[shape.len() - 1];
    values[i * columns..(i + 1) * columns].iter().map(|&v| f64::from(v)).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
