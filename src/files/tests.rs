//! Files in a directory with files of other users and of killed processes.

use super::*;
use rustix::fs::{FileType, Mode, mknodat};
use std::os::unix::fs::symlink;

fn pipe(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::RWXU, 0).unwrap();
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = names_in(directory)
        .into_iter()
        .map(|name| name.into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_file_has_its_mode_and_replaces_another_only_if_requested() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    write(&path, b"first", 0o666, Existing::Keep).unwrap();
    let error = write(&path, b"second", 0o600, Existing::Keep).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(fs::read(&path).unwrap(), b"first");
    let mode = || fs::metadata(&path).unwrap().mode() & 0o7777;
    assert_eq!(mode(), 0o666, "the umask is ignored");
    write(&path, b"third", 0o600, Existing::Replace).unwrap();
    assert_eq!(
        (fs::read(&path).unwrap(), mode()),
        (b"third".to_vec(), 0o600)
    );
    assert_eq!(names(directory.path()), ["file"]);
}

#[test]
fn only_a_regular_file_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    fs::create_dir(path("directory")).unwrap();
    symlink("nowhere", path("link")).unwrap();
    pipe(&path("pipe"));
    for name in ["directory", "link", "pipe"] {
        for existing in [Existing::Keep, Existing::Replace] {
            write(&path(name), b"", 0o600, existing).unwrap_err();
        }
    }
    assert_eq!(names(directory.path()), ["directory", "link", "pipe"]);
    write(Path::new(".."), b"", 0o600, Existing::Replace).unwrap_err();
}

#[test]
fn only_our_own_leftovers_are_removed() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let partial = |number: u128| format!("{PREFIX}{}{SUFFIX}", Uuid::from_u128(number).simple());
    let leftover = partial(1);
    for name in [&leftover, &format!("{leftover}-wal"), ".file.partial"] {
        fs::write(path(name), "").unwrap();
    }
    let kept = [".other.partial", ".thanos-login-1.partial", "target"];
    for name in kept {
        fs::write(path(name), "").unwrap();
    }
    let (link, hard_link, pipe_name) = (partial(2), partial(3), partial(4));
    symlink("target", path(&link)).unwrap();
    fs::hard_link(path("target"), path(&hard_link)).unwrap();
    pipe(&path(&pipe_name));
    let live = Partial::create(&path("live"), 0o600).unwrap();

    write(&path("file"), b"", 0o600, Existing::Keep).unwrap();
    let live_name = live.path().file_name().unwrap().to_str().unwrap();
    let mut expected = vec!["file", live_name, &link, &hard_link, &pipe_name];
    expected.extend(kept);
    expected.sort_unstable();
    assert_eq!(names(directory.path()), expected);
    live.publish(Existing::Keep).unwrap();
    assert!(path("live").exists());
}

#[test]
fn a_file_that_is_not_published_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    drop(Partial::create(&directory.path().join("file"), 0o600).unwrap());
    assert_eq!(names(directory.path()), [""; 0]);
}

#[test]
fn a_file_that_another_process_has_replaced_is_not_published() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    let partial = Partial::create(&path, 0o600).unwrap();
    fs::remove_file(partial.path()).unwrap();
    fs::write(partial.path(), "of another program").unwrap();
    partial.publish(Existing::Keep).unwrap_err();
    assert!(!path.exists());
}

#[test]
fn many_can_write_to_one_directory_at_once() {
    let directory = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let directory = directory.path();
            scope.spawn(move || {
                for number in 0..16 {
                    let path = directory.join(format!("{thread} {number}"));
                    write(&path, b"", 0o600, Existing::Keep).unwrap();
                }
            });
        }
    });
    assert_eq!(names(directory.path()).len(), 8 * 16);
}

#[test]
fn a_secret_is_read_from_a_regular_file_only() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    fs::write(path("file"), "secret").unwrap();
    assert_eq!(read_own(&path("file")).unwrap(), b"secret");
    let missing = read_own(&path("missing")).unwrap_err();
    assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    pipe(&path("pipe"));
    for name in ["pipe", "."] {
        read_own(&path(name)).unwrap_err();
    }
}

#[test]
#[ignore = "needs root"]
fn a_secret_of_another_user_is_refused_unless_the_directory_is_theirs() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    fs::write(&path, "secret").unwrap();
    std::os::unix::fs::chown(&path, Some(1), None).unwrap();
    read_own(&path).unwrap_err();
    std::os::unix::fs::chown(directory.path(), Some(1), None).unwrap();
    read_own(&path).unwrap();
}
