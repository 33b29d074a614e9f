//! What every [`Disk`] must do, run against each.

use std::io::ErrorKind;
use std::path::Path;

use super::{Disk, Entry};

fn p(path: &str) -> &Path {
    Path::new(path)
}

fn write(disk: &dyn Disk, path: &str, bytes: &[u8]) {
    disk.create(p(path)).unwrap().append(bytes).unwrap();
}

pub(super) fn all(disk: &dyn Disk) {
    files(disk);
    directories(disk);
    links(disk);
}

fn files(disk: &dyn Disk) {
    let mut file = disk.create(p("f")).unwrap();
    assert!(file.is_empty());
    file.append(b"hello ").unwrap();
    file.append(b"world").unwrap();
    file.sync().unwrap();
    file.sync_later().unwrap()().unwrap();
    assert_eq!(file.len(), 11);
    assert_eq!(disk.read(p("f")).unwrap(), b"hello world");
    assert_eq!(&*disk.map(p("f")).unwrap(), b"hello world");
    assert_eq!(disk.read_at(p("f"), 6, 3).unwrap(), b"wor");
    assert_eq!(disk.read_at(p("f"), 6, 1 << 40).unwrap(), b"world");
    assert_eq!(disk.read_at(p("f"), 12, 3).unwrap(), b"");
    file.truncate(5).unwrap();
    file.append(b"!").unwrap();
    drop(file);
    let mut file = disk.open_append(p("f")).unwrap();
    assert_eq!(file.len(), 6);
    file.append(b"?").unwrap();
    assert_eq!(disk.read(p("f")).unwrap(), b"hello!?");
    assert_eq!(disk.stat(p("f")).unwrap(), Entry { name: "f".into(), is_dir: false, len: 7 });
    write(disk, "f", b"");
    assert_eq!(disk.map(p("f")).unwrap().len(), 0);
    disk.remove_file(p("f")).unwrap();
    for missing in [disk.read(p("f")).unwrap_err(), disk.open_append(p("f")).map(drop).unwrap_err()] {
        assert_eq!(missing.kind(), ErrorKind::NotFound);
    }
    for missing in [disk.stat(p("f")).unwrap_err(), disk.remove_file(p("f")).unwrap_err()] {
        assert_eq!(missing.kind(), ErrorKind::NotFound);
    }
    assert_eq!(disk.create(p("no/f")).map(drop).unwrap_err().kind(), ErrorKind::NotFound);
}

fn directories(disk: &dyn Disk) {
    disk.create_dir_all(p("a/b/c")).unwrap();
    disk.create_dir_all(p("a/b")).unwrap();
    write(disk, "a/b/2", b"xy");
    write(disk, "a/b/1", b"");
    let names: Vec<_> = disk.list(p("a/b")).unwrap().into_iter().map(|e| (e.name, e.is_dir, e.len)).collect();
    assert_eq!(names, [("1".into(), false, 0), ("2".into(), false, 2), ("c".into(), true, 0)]);
    assert_eq!(disk.list(p("")).unwrap().len(), 1);
    disk.rename(p("a/b"), p("a/d")).unwrap();
    disk.sync_dir(p("a")).unwrap();
    assert_eq!(disk.read(p("a/d/2")).unwrap(), b"xy");
    assert!(disk.stat(p("a/b")).is_err());
    write(disk, "a/e", b"new");
    disk.rename(p("a/e"), p("a/d/2")).unwrap();
    assert_eq!(disk.read(p("a/d/2")).unwrap(), b"new");
    disk.remove_dir_all(p("a")).unwrap();
    assert!(disk.list(p("")).unwrap().is_empty());
    assert_eq!(disk.list(p("a")).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(disk.remove_dir_all(p("a")).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(disk.rename(p("a"), p("b")).unwrap_err().kind(), ErrorKind::NotFound);
}

fn links(disk: &dyn Disk) {
    write(disk, "one", b"bytes");
    disk.hard_link(p("one"), p("two")).unwrap();
    assert_eq!(disk.hard_link(p("one"), p("two")).unwrap_err().kind(), ErrorKind::AlreadyExists);
    disk.remove_file(p("one")).unwrap();
    assert_eq!(disk.read(p("two")).unwrap(), b"bytes");
    disk.remove_file(p("two")).unwrap();
}
