//! Whether a model is signed for this board's key, and how old it says it is.

use crate::slots::Versions;
use ed25519_compact::{PublicKey, Signature};
use qdllm_link::Fault;
use qdllm_runtime::Model;
use qdllm_runtime::format::signature::{CONTEXT, ModelSignature};

/// Checks a model's signature against the public key.
///
/// # Errors
/// [`Fault::Unsigned`], [`Fault::OtherKey`] or [`Fault::BadSignature`]; a signature section of a wrong
/// shape is the runtime's error.
pub(crate) fn check(model: &Model<'_>, public: &[u8; 32]) -> Result<Versions, Fault> {
    let signed = ModelSignature::of(model.container())?.ok_or(Fault::Unsigned)?;
    if public.first_chunk() != Some(&signed.key) {
        return Err(Fault::OtherKey);
    }
    let verify = || {
        let signature = Signature::new(*signed.signature);
        let mut state = PublicKey::new(*public).verify_incremental(&signature)?;
        state.absorb(CONTEXT);
        state.absorb(signed.covered);
        state.verify()
    };
    verify().map_err(|_| Fault::BadSignature)?;
    Ok(Versions { version: signed.version, minimum: signed.minimum })
}
