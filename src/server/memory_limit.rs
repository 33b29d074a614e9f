//! How much memory this process may take: the machine's, or what a container is given of it.

use std::path::Path;

/// Bytes of memory that this process may take; `None` where that cannot be read.
pub fn available() -> Option<u64> {
    let read = |path: &Path| std::fs::read_to_string(path).ok();
    let machine = read(Path::new("/proc/meminfo")).and_then(|text| machine(&text));
    let own = read(Path::new("/proc/self/cgroup")).and_then(|text| group(&text).map(str::to_owned));
    let limit = own.and_then(|own| group_limit(Path::new("/sys/fs/cgroup"), &own, read));
    machine.into_iter().chain(limit).min()
}

/// The total in `/proc/meminfo`.
fn machine(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// The path of the process's control group (version 2) in `/proc/self/cgroup`.
fn group(text: &str) -> Option<&str> {
    text.lines().find_map(|line| line.strip_prefix("0::/"))
}

/// The least limit of a control group and those around it. A group that is not shown inside of a container has its
/// limit at the root.
fn group_limit(root: &Path, own: &str, read: impl Fn(&Path) -> Option<String>) -> Option<u64> {
    let own = root.join(own);
    let groups = own.ancestors().take_while(|group| group.starts_with(root));
    groups.filter_map(|group| read(&group.join("memory.max"))?.trim().parse().ok()).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_limit_counts() {
        assert_eq!(machine("MemFree: 1 kB\nMemTotal:       24000 kB\nX: 1\n"), Some(24_576_000));
        assert_eq!(machine("MemTotal: much\n"), None);
        assert_eq!(group("12:cpu:/old\n0::/a/b.service\n"), Some("a/b.service"));
        assert_eq!(group("1:memory:/old\n"), None);
        let files = |path: &Path| {
            let text = match path.to_str()? {
                "/cg/a/b/memory.max" => "max\n",
                "/cg/a/memory.max" => "2000\n",
                "/cg/memory.max" => "3000\n",
                _ => return None,
            };
            Some(text.to_owned())
        };
        assert_eq!(group_limit(Path::new("/cg"), "a/b", files), Some(2000));
        assert_eq!(group_limit(Path::new("/cg"), "elsewhere/not/shown", files), Some(3000));
        assert_eq!(group_limit(Path::new("/cg"), "", |_| None), None);
    }

    #[test]
    fn this_machine_has_some() {
        assert!(available().is_some_and(|bytes| bytes > 64 << 20));
    }
}
