//! The allocator, and giving memory back to the system.

/// Why not the system's: docs/decisions.md.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[expect(unsafe_code, reason = "a function of the C library that the allocator's crate does not offer")]
mod c {
    unsafe extern "C" {
        /// Frees what other threads gave back to this one, and with `force` hands empty pages to the system. Any thread
        /// may call it at any time. Source: mimalloc's `mimalloc.h`.
        pub(super) safe fn mi_collect(force: bool);
    }
}

/// Gives the memory that this thread and those that queries share have free back to the system. A thread that waits for
/// work keeps it otherwise.
pub fn release_memory() {
    rayon::spawn_broadcast(|_| c::mi_collect(true));
    c::mi_collect(true);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_given_back() {
        let used = || {
            let status = std::fs::read_to_string("/proc/self/status").unwrap();
            let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
            line.trim().trim_end_matches("kB").trim().parse::<usize>().unwrap() << 10
        };
        let before = used();
        let small: Vec<Box<[u8; 1000]>> = (0..100_000).map(|n| Box::new([n as u8; 1000])).collect();
        assert!(used() > before + (90 << 20));
        drop(small);
        release_memory();
        assert!(used() < before + (30 << 20), "{} to {}", before >> 20, used() >> 20);
    }
}
