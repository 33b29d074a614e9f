//! How much memory this process may take, and how much of it readers may have.
//!
//! The limit is `GOMEMLIMIT` where that is set, as for Prometheus; else a share (`--auto-gomemlimit.ratio`) of the
//! container's limit, or of the machine's memory; and never more than `ulimit -v` leaves. Readers get what the rest of
//! the process, which is mostly the head, does not take, and no more than half.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use query::MemoryBudget;
use rustix::process::{Resource, getrlimit};
use tokio_util::sync::CancellationToken;

/// How often the rest of the process is looked at.
const EVERY: Duration = Duration::from_secs(1);

/// How much memory this process may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryLimit {
    /// Bytes that it may take.
    pub bytes: u64,
    /// Whether that is address space, where mapped files count, or memory that is in use.
    pub kind: Kind,
    /// What sets it, for the log.
    pub source: &'static str,
}

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Memory in use.
    InUse,
    /// Address space.
    AddressSpace,
}

/// Text in `GOMEMLIMIT` that is no limit.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("GOMEMLIMIT={0:?} is no number of bytes such as 4GiB or 4294967296, and not off; it is ignored")]
pub struct NoLimit(String);

/// What this process may take; `None` where nothing can be read. `ratio` is the share of a container or machine.
pub fn find(ratio: Option<f64>) -> (Option<MemoryLimit>, Option<NoLimit>) {
    let read = |path: &Path| std::fs::read_to_string(path).ok();
    let (go, wrong) = match std::env::var("GOMEMLIMIT").map(|text| go_limit(&text)) {
        Ok(Ok(limit)) => (limit, None),
        Ok(Err(wrong)) => (None, Some(wrong)),
        Err(_) => (None, None),
    };
    let in_use = match go {
        Some(bytes) => Some(MemoryLimit { bytes, kind: Kind::InUse, source: "GOMEMLIMIT" }),
        None => available(read).map(|(bytes, source)| {
            let bytes = ratio.map_or(bytes, |ratio| (bytes as f64 * ratio) as u64);
            MemoryLimit { bytes, kind: Kind::InUse, source }
        }),
    };
    let space = getrlimit(Resource::As).current;
    let space = space.map(|bytes| MemoryLimit { bytes, kind: Kind::AddressSpace, source: "ulimit -v" });
    (in_use.into_iter().chain(space).min_by_key(|limit| limit.bytes), wrong)
}

/// `GOMEMLIMIT` as Go reads it: bytes, or with a unit; `None` for `off`.
fn go_limit(text: &str) -> Result<Option<u64>, NoLimit> {
    let wrong = || NoLimit(text.to_owned());
    if text.is_empty() || text == "off" {
        return Ok(None);
    }
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40), ("B", 0)];
    let unit = units.iter().find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, *shift)));
    let (digits, shift) = unit.unwrap_or((text, 0));
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(wrong());
    }
    let bytes = digits.parse::<u64>().ok().and_then(|n| n.checked_mul(1 << shift));
    // Go's numbers of bytes are signed, and the highest stands for no limit.
    match bytes.filter(|bytes| *bytes <= i64::MAX.unsigned_abs()) {
        Some(bytes) if bytes == i64::MAX.unsigned_abs() => Ok(None),
        Some(bytes) => Ok(Some(bytes)),
        None => Err(wrong()),
    }
}

/// Bytes that a container gives, or the machine has.
fn available(read: impl Fn(&Path) -> Option<String>) -> Option<(u64, &'static str)> {
    let machine = read(Path::new("/proc/meminfo")).and_then(|text| machine(&text));
    let groups = read(Path::new("/proc/self/cgroup")).unwrap_or_default();
    let root = Path::new("/sys/fs/cgroup");
    let second = groups.lines().find_map(|line| line.strip_prefix("0::/"));
    let second = second.and_then(|own| group_limit(root, own, "memory.max", &read));
    let of_memory = |line: &str| {
        let mut parts = line.splitn(3, ':').skip(1);
        parts.next().is_some_and(|names| names.split(',').any(|name| name == "memory"))
    };
    let first = groups.lines().find(|line| of_memory(line));
    let first = first.and_then(|line| line.splitn(3, ':').nth(2)?.strip_prefix('/'));
    let first = first.and_then(|own| group_limit(&root.join("memory"), own, "memory.limit_in_bytes", &read));
    let machine = machine.map(|bytes| (bytes, "the machine's memory"));
    let groups = first.into_iter().chain(second).map(|bytes| (bytes, "the control group's limit"));
    groups.chain(machine).min_by_key(|(bytes, _)| *bytes)
}

/// The total in `/proc/meminfo`.
fn machine(meminfo: &str) -> Option<u64> {
    kib(meminfo, "MemTotal:")
}

/// A number of KiB in a file of `/proc`, in bytes.
fn kib(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// The least limit of a control group and those around it. A group that is not shown inside of a container has its
/// limit at the root.
fn group_limit(root: &Path, own: &str, file: &str, read: &impl Fn(&Path) -> Option<String>) -> Option<u64> {
    let own = root.join(own);
    let groups = own.ancestors().take_while(|group| group.starts_with(root));
    groups.filter_map(|group| read(&group.join(file))?.trim().parse().ok()).min()
}

/// What readers may take together where nothing else is known yet.
pub fn of_readers(limit: Option<MemoryLimit>) -> usize {
    let Some(limit) = limit else { return usize::MAX };
    let part = match limit.kind {
        Kind::InUse => limit.bytes / 2,
        // The allocator asks for more at a time than it needs.
        Kind::AddressSpace => limit.bytes / 4,
    };
    usize::try_from(part).unwrap_or(usize::MAX)
}

/// What readers may take when the process takes `taken`, of which readers have `of_readers`.
fn left(limit: MemoryLimit, taken: u64, readers: u64) -> usize {
    let others = taken.saturating_sub(readers);
    let most = of_readers(Some(limit));
    let least = match limit.kind {
        // What the allocator keeps counts as the others'.
        Kind::InUse => limit.bytes / 8,
        // An allocation that does not fit ends the process.
        Kind::AddressSpace => limit.bytes / 32,
    };
    let least = usize::try_from(least).unwrap_or(usize::MAX);
    usize::try_from(limit.bytes.saturating_sub(others)).unwrap_or(usize::MAX).clamp(least, most.max(least))
}

/// Keeps the readers' budget at what the rest of the process leaves, until the server ends.
pub async fn keep(limit: MemoryLimit, budget: Arc<MemoryBudget>, stop: CancellationToken) {
    let name = match limit.kind {
        Kind::InUse => "RssAnon:",
        Kind::AddressSpace => "VmSize:",
    };
    loop {
        // A file of the kernel's: reading it never waits.
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        if let Some(taken) = kib(&status, name) {
            budget.set_max(left(limit, taken, budget.taken() as u64));
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = stop.cancelled() => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_limit_counts() {
        assert_eq!(machine("MemFree: 1 kB\nMemTotal:       24000 kB\nX: 1\n"), Some(24_576_000));
        assert_eq!(machine("MemTotal: much\n"), None);
        let files = |path: &Path| {
            let text = match path.to_str()? {
                "/cg/a/b/memory.max" => "max\n",
                "/cg/a/memory.max" => "2000\n",
                "/cg/memory.max" => "3000\n",
                _ => return None,
            };
            Some(text.to_owned())
        };
        let limit = |own| group_limit(Path::new("/cg"), own, "memory.max", &files);
        assert_eq!(limit("a/b"), Some(2000));
        assert_eq!(limit("elsewhere/not/shown"), Some(3000));
        assert_eq!(group_limit(Path::new("/cg"), "", "memory.max", &|_: &Path| None), None);
    }

    #[test]
    fn both_versions_of_control_groups_are_known() {
        let with = |groups: &'static str, file: &'static str, limit: &'static str| {
            available(move |path| {
                let text = match path.to_str()? {
                    "/proc/meminfo" => "MemTotal: 1000 kB\n",
                    "/proc/self/cgroup" => groups,
                    path if path == file => limit,
                    _ => return None,
                };
                Some(text.to_owned())
            })
        };
        let group = Some((4096, "the control group's limit"));
        let machine = Some((1_024_000, "the machine's memory"));
        let first = "12:cpu:/x\n5:memory:/docker/1\n0::/\n";
        let of_first = "/sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes";
        assert_eq!(with(first, of_first, "4096\n"), group);
        // No limit is a very high one.
        assert_eq!(with(first, of_first, "9223372036854771712\n"), machine);
        assert_eq!(with(first, "/sys/fs/cgroup/memory/memory.limit_in_bytes", "4096\n"), group);
        assert_eq!(with("0::/a\n", "/sys/fs/cgroup/a/memory.max", "4096\n"), group);
        assert_eq!(with("0::/a\n", "/sys/fs/cgroup/a/memory.max", "max\n"), machine);
    }

    #[test]
    fn limits_as_go_reads_them() {
        for (text, want) in [
            ("", None),
            ("off", None),
            ("4096", Some(4096)),
            ("4096B", Some(4096)),
            ("400MiB", Some(400 << 20)),
            ("2GiB", Some(2 << 30)),
            ("9223372036854775807", None),
        ] {
            assert_eq!(go_limit(text), Ok(want), "{text}");
        }
        for text in ["MiB", "1.5GiB", "400MB", "-1", "+5", "99999999TiB", "9223372036854775808"] {
            assert_eq!(go_limit(text), Err(NoLimit(text.to_owned())), "{text}");
        }
    }

    #[test]
    fn readers_get_what_the_rest_leaves() {
        let limit = MemoryLimit { bytes: 400, kind: Kind::InUse, source: "" };
        for (taken, readers, want) in
            [(0, 0, 200), (250, 0, 150), (250, 100, 200), (390, 0, 50), (900, 0, 50)]
        {
            assert_eq!(left(limit, taken, readers), want, "{taken} {readers}");
        }
        let space = MemoryLimit { kind: Kind::AddressSpace, ..limit };
        for (taken, readers, want) in [(0, 0, 100), (350, 0, 50), (350, 40, 90), (399, 0, 12)] {
            assert_eq!(left(space, taken, readers), want, "{taken} {readers}");
        }
        assert_eq!(of_readers(None), usize::MAX);
    }

    #[test]
    fn this_machine_has_some() {
        let (limit, wrong) = find(Some(0.9));
        assert!(limit.is_some_and(|limit| limit.bytes > 64 << 20) && wrong.is_none());
    }
}
