//! What a run cost this machine, peak memory and time a text, and which machine it is.

use std::hint::black_box;
use std::time::Instant;

const TIMED: usize = 1000;

/// The most memory this process has held at once, in bytes; `None` where the system does not tell.
///
/// Read from `VmHWM` of `/proc/self/status`: pages in memory, shared libraries included.
pub fn peak_memory_bytes() -> Option<u64> {
    high_water(&std::fs::read_to_string("/proc/self/status").ok()?)
}

fn high_water(status: &str) -> Option<u64> {
    Some(kibibytes(status, "VmHWM")? * 1024)
}

/// Mean wall-clock microseconds of `classify`, given one item after another on this thread, over the first thousand
/// items; one more item goes before, unmeasured. 0 without items.
pub fn microseconds_a_text<T, R>(items: &[T], mut classify: impl FnMut(&T) -> R) -> f64 {
    let Some(first) = items.first() else { return 0.0 };
    black_box(classify(first));
    let timed = &items[..items.len().min(TIMED)];
    let start = Instant::now();
    for item in timed {
        black_box(classify(item));
    }
    start.elapsed().as_secs_f64() * 1e6 / timed.len() as f64
}

/// Processor, cores and memory in a line; what the system does not tell is left out.
pub fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let processor = field(&read("/proc/cpuinfo"), "model name").map(str::to_owned);
    let memory = kibibytes(&read("/proc/meminfo"), "MemTotal");
    let memory = memory.map(|k| format!(", {:.1} GiB", k as f64 / 1024.0 / 1024.0));
    let processor = processor.unwrap_or_else(|| std::env::consts::ARCH.into());
    let (memory, system) = (memory.unwrap_or_default(), std::env::consts::OS);
    format!("{processor}, {cores} cores{memory}, {system}")
}

fn kibibytes(text: &str, name: &str) -> Option<u64> {
    field(text, name)?.strip_suffix("kB")?.trim().parse().ok()
}

/// The value of the first `name : value` line.
fn field<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found() {
        assert_eq!(field("a\t: 1\nmodel name\t: Some CPU\n", "model name").unwrap(), "Some CPU");
        assert_eq!(field("", "model name"), None);
        assert!(machine().contains("cores"));
    }

    #[test]
    fn the_high_water_mark_is_found_or_nothing() {
        let status = "Name:\tqdllm\nVmPeak:\t  9 kB\nVmHWM:\t   12345 kB\nVmRSS:\t 77 kB\n";
        assert_eq!(high_water(status), Some(12345 * 1024));
        assert_eq!(high_water("Name:\tqdllm\n"), None);
        assert_eq!(high_water("VmHWM:\tmuch\n"), None);
    }

    #[test]
    fn memory_that_was_touched_counts() {
        let Some(before) = peak_memory_bytes() else { return };
        let block = black_box(vec![1_u8; 64 << 20]);
        let after = peak_memory_bytes().unwrap_or(0);
        assert!(after >= before && after >= block.len() as u64, "{before} then {after}");
    }

    #[test]
    fn every_item_is_run_and_no_more_than_a_thousand() {
        let mut runs = 0;
        assert!(microseconds_a_text(&[(); 3], |()| runs += 1) >= 0.0);
        assert_eq!(runs, 4);
        let mut runs = 0;
        microseconds_a_text(&[(); 5000], |()| runs += 1);
        assert_eq!(runs, TIMED + 1);
        assert_eq!(microseconds_a_text(&[0; 0], |_| ()), 0.0);
    }
}
