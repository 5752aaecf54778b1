//! A small file system that is full, and then has space again.

use std::fs::File;
use std::io::Write;
use std::process::Command;

use super::all;
use super::operations::{self, Operation, soon};
use super::trial::{Ending, Trial};
use crate::harness::Place;
use crate::harness::accounts::{self, JWEIR, PASSWORD};

const OPERATIONS: [Operation; 11] = [
    operations::INIT,
    operations::SEED,
    operations::ADD_USER,
    operations::IMPORT,
    operations::EXPORT_AGAIN,
    operations::BACK_UP_AGAIN,
    operations::RESTORE,
    operations::WRITE_MANUAL,
    start_and_stop(operations::SERVE_FIRST),
    start_and_stop(operations::SERVE_A_BACKUP),
    start_and_stop(operations::SERVE_OWN_AUTHORITY),
];

/// Only starts and stops the server: a login may find no space, which another test covers.
const fn start_and_stop(operation: Operation) -> Operation {
    Operation {
        serve: Some(|_| Vec::new()),
        ..operation
    }
}

const FILLER: &str = "filler";

/// A test directory on its own file system, which is unmounted when this value is dropped.
struct Disk(Place);

impl Disk {
    #[track_caller]
    fn mount() -> Self {
        let place = Place::new();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=4m,mode=0700", "tmpfs"])
            .arg(place.path(""))
            .status();
        assert!(mounted.unwrap().success());
        std::fs::create_dir(place.path("tmp")).unwrap();
        Self(place)
    }

    /// Fills the file system until only this many pages are free.
    fn fill(&self, pages: usize) {
        let mut filler = File::create(self.0.path(FILLER)).unwrap();
        let page = [0xa5; 4096];
        while filler.write_all(&page).is_ok() {}
        let length = filler.metadata().unwrap().len() / 4096 * 4096;
        filler
            .set_len(length.saturating_sub(pages as u64 * 4096))
            .unwrap();
    }

    fn free_space(&self) {
        std::fs::remove_file(self.0.path(FILLER)).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let path = self.0.path("");
        let unmounted = Command::new("umount").arg("--lazy").arg(path).status();
        assert!(unmounted.unwrap().success());
    }
}

#[test]
#[ignore = "needs root"]
fn a_disk_that_was_full_prevents_no_later_run() {
    let trials: Vec<Trial> = OPERATIONS.iter().map(Trial::of).collect();
    all(trials.iter().flat_map(|trial| {
        [0, 1, 2, 4, 8, 16, 24, 32, 48, 64].map(|pages| {
            let run = move || {
                let disk = Disk::mount();
                trial.place().copy_into(&disk.0);
                disk.fill(pages);
                trial.survives(&disk.0, &[], Ending::Reported, || disk.free_space());
            };
            (format!("{} with {pages} free pages", trial.name()), run)
        })
    }));
}

#[test]
#[ignore = "needs root"]
fn logins_are_answered_again_once_the_disk_has_space_again() {
    let disk = Disk::mount();
    disk.0
        .seed(&accounts::retailer([accounts::user(JWEIR)]))
        .succeeded();
    let server = disk.0.serve(&[]);
    let mut tokens = Vec::new();
    for _ in 0..3 {
        disk.fill(0);
        soon("the disk is full", || {
            let answer = server.login(JWEIR, PASSWORD);
            if answer.status == 200 {
                tokens.push(answer.token());
            }
            answer.status == 503
        });
        disk.free_space();
        soon("a login is answered", || {
            server.login(JWEIR, PASSWORD).status == 200
        });
        assert!(tokens.iter().all(|token| disk.0.holds_token(token)));
    }
    server.stop();
    assert_eq!(disk.0.integrity(), "ok");
}
