//! Tasks that were submitted this day, over all batches of the store.

use super::JobError;
use super::job::Batch;
use super::store::Store;
use qdllm_host::dates;

/// Tasks submitted to the batch's platform and address since midnight in Beijing.
///
/// # Errors
/// [`JobError`] for a file that cannot be read.
pub fn used_today(store: &Store, like: &Batch) -> Result<u32, JobError> {
    let today = dates::beijing_time(dates::now_s()).date();
    let same = |b: &Batch| b.platform == like.platform && b.url == like.url;
    let mut used = 0;
    for batch in store.batches()?.iter().filter(|b| same(b)) {
        for job in store.read(&batch.id)?.1 {
            let earlier = job.earlier.iter().map(|a| a.at_s);
            let all = job.state.at_s().into_iter().chain(earlier);
            used += all.filter(|&s| dates::beijing_time(s).date() == today).count() as u32;
        }
    }
    Ok(used)
}
