//! Many samples at once: the host's executor and its gradient, with samples side by side in the
//! widest registers the machine has.
//!
//! [`Batch`] binds a fused circuit to its angles; [`Work`] is the memory of one thread. A call takes
//! up to [`Batch::lanes`] samples. Results depend on the machine's register width and on nothing
//! else: never on the number of threads.

mod backward;
mod forward;
mod plan;
mod rotations;
mod trig;

use backward::Back;
pub use backward::Sums;
use forward::Tape;
use plan::Plan;
use pulp::{Arch, Simd, WithSimd};
use qdllm_runtime::circuit::fuse::Fused;
use rayon::prelude::*;

/// A circuit with its angles filled in, ready for batches.
pub struct Batch {
    arch: Arch,
    plan: Plan,
}

/// The memory of one thread: a state for expectations, three for gradients (more for each further
/// diagonal of a deeper circuit).
pub struct Work {
    tape: Tape,
    back: Option<Back>,
}

impl Batch {
    pub fn new(circuit: &Fused, parameters: &[f64]) -> Self {
        Self { arch: Arch::new(), plan: Plan::new(circuit, parameters) }
    }

    /// One batch for each register width that this machine has, the narrowest (one lane) first; `new` takes the widest.
    pub fn each_width(circuit: &Fused, parameters: &[f64]) -> Vec<Self> {
        let mut widths = vec![Arch::Scalar];
        #[cfg(target_arch = "x86_64")]
        {
            widths.extend(pulp::x86::V3::try_new().map(Arch::V3));
            widths.extend(pulp::x86::V4::try_new().map(Arch::V4));
        }
        let plan = |arch| Self { arch, plan: Plan::new(circuit, parameters) };
        widths.into_iter().map(plan).collect()
    }

    /// Samples that one call takes: 16 with AVX-512, 8 with AVX2, else 1.
    pub fn lanes(&self) -> usize {
        struct Lanes;
        impl WithSimd for Lanes {
            type Output = usize;
            fn with_simd<S: Simd>(self, _: S) -> usize {
                S::F32_LANES
            }
        }
        self.arch.dispatch(Lanes)
    }

    /// Arithmetic instructions a sample: multiply-adds, multiplications and additions count one each.
    pub fn operations(&self, gradients: bool) -> usize {
        self.plan.operations(gradients)
    }

    pub fn inputs(&self) -> usize {
        self.plan.inputs
    }

    pub fn outputs(&self) -> usize {
        self.plan.words.len()
    }

    /// Memory for [`expectations`](Self::expectations), and for [`gradient`](Self::gradient) if asked.
    pub fn work(&self, gradients: bool) -> Work {
        Work {
            tape: Tape::new(&self.plan, gradients),
            back: gradients.then(|| Back::new(&self.plan)),
        }
    }

    /// Expectations of at most [`lanes`](Self::lanes) samples: rows of [`inputs`](Self::inputs)
    /// encoder angles (radians, |angle| <= 2000) to rows of [`outputs`](Self::outputs) numbers. The
    /// error is under 2e-6.
    pub fn expectations(&self, work: &mut Work, angles_rad: &[f32], out: &mut [f32]) {
        let Work { tape, back } = work;
        let (plan, keep) = (&self.plan, back.is_some());
        self.arch.dispatch(Forward { plan, tape, keep, angles_rad, out });
    }

    /// Carries back the slopes `cotangent` (rows of one number an expectation) of the samples that
    /// [`expectations`](Self::expectations) ran last in `work`: writes the slope by each encoder angle
    /// into the rows of `inputs` and adds what the circuit's angles need to `sums`.
    ///
    /// Once a run of `expectations`; without memory for gradients it does nothing.
    pub fn gradient(
        &self,
        work: &mut Work,
        cotangent: &[f32],
        inputs: &mut [f32],
        sums: &mut Sums,
    ) {
        let Work { tape, back: Some(back) } = work else { return };
        self.arch.dispatch(Backward { plan: &self.plan, tape, back, cotangent, inputs, sums });
    }

    pub fn sums(&self) -> Sums {
        Sums::new(&self.plan)
    }

    /// Slopes by each angle of the fused circuit, in the order of its steps and terms.
    pub fn slopes(&self, sums: Sums) -> Vec<f64> {
        sums.slopes(&self.plan)
    }

    /// Expectations of any number of samples on all cores; rows as for [`expectations`](Self::expectations).
    pub fn run(&self, angles_rad: &[f32]) -> Vec<f32> {
        let (inputs, outputs, lanes) = (self.inputs(), self.outputs(), self.lanes());
        let mut out = vec![0.0; angles_rad.len() / inputs * outputs];
        out.par_chunks_mut(lanes * outputs)
            .zip(angles_rad.par_chunks(lanes * inputs))
            .for_each_init(
                || self.work(false),
                |work, (out, angles)| self.expectations(work, angles, out),
            );
        out
    }
}

struct Forward<'a> {
    plan: &'a Plan,
    tape: &'a mut Tape,
    keep: bool,
    angles_rad: &'a [f32],
    out: &'a mut [f32],
}

impl WithSimd for Forward<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { plan, tape, keep, angles_rad, out } = self;
        if keep {
            forward::expectations::<S, true>(simd, plan, tape, angles_rad, out);
        } else {
            forward::expectations::<S, false>(simd, plan, tape, angles_rad, out);
        }
    }
}

struct Backward<'a> {
    plan: &'a Plan,
    tape: &'a mut Tape,
    back: &'a mut Back,
    cotangent: &'a [f32],
    inputs: &'a mut [f32],
    sums: &'a mut Sums,
}

impl WithSimd for Backward<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { plan, tape, back, cotangent, inputs, sums } = self;
        backward::gradient(simd, plan, tape, back, cotangent, inputs, sums);
    }
}
