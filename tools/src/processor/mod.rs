//! A quantum processor: its couplings, and how well its qubits and couplers work.

pub mod calibration;
pub mod topology;
