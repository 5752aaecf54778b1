//! Tests of the container image: its configuration, and the program in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::{printed_by, release_file, static_binary, write_program};
use crate::harness::accounts::{JWEIR, PASSWORD};
use crate::harness::{Finished, HeldPort, Launch, Place, Server};

const CHECKOUT: &str = env!("CARGO_MANIFEST_DIR");

/// Builds the image around a binary; returns the paths of the OCI and the Docker archive.
#[track_caller]
fn build(binary: &str, place: &Place) -> [PathBuf; 2] {
    let script = Path::new(CHECKOUT).join("deploy/container/build");
    let paths = printed_by(
        Command::new(script)
            .arg(binary)
            .arg(place.path("built"))
            .env("SOURCE_DATE_EPOCH", "1700000000"),
    );
    let paths: Vec<PathBuf> = paths.lines().map(PathBuf::from).collect();
    paths.try_into().unwrap()
}

/// Unpacks the files of an archive into a new directory of the place.
#[track_caller]
fn unpack(image: &Path, place: &Place, directory: &str) {
    fs::create_dir(place.path(directory)).unwrap();
    printed_by(
        Command::new("tar")
            .arg("--extract")
            .arg("--file")
            .arg(image)
            .arg("--directory")
            .arg(place.path(directory)),
    );
}

fn json_file(path: PathBuf) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn blob(place: &Place, descriptor: &Value) -> Value {
    let digest = descriptor["digest"].as_str().unwrap();
    json_file(place.path(&format!("layout/blobs/{}", digest.replace(':', "/"))))
}

/// The runtime settings of the image. They do not depend on the binary.
pub fn settings() -> Value {
    let place = Place::new();
    let [oci, _] = build("/bin/true", &place);
    unpack(&oci, &place, "layout");
    let index = json_file(place.path("layout/index.json"));
    let manifest = blob(&place, &index["manifests"][0]);
    blob(&place, &manifest["config"])["config"].clone()
}

#[test]
fn the_same_binary_and_date_produce_the_same_image() {
    let (one, other) = (Place::new(), Place::new());
    let [one, other] =
        [&one, &other].map(|place| build("/bin/true", place).map(|path| fs::read(path).unwrap()));
    assert!(one == other);
}

#[test]
fn a_file_that_is_not_a_program_of_a_known_architecture_is_refused() {
    let place = Place::new();
    write_program(
        &place,
        "text",
        "#!/bin/sh\n# Longer than the head of a program.\n",
    );
    let output = Command::new(Path::new(CHECKOUT).join("deploy/container/build"))
        .args([place.path("text"), place.path("built")])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        error.ends_with(": not an x86-64 or AArch64 program\n"),
        "{error}"
    );
    assert!(!place.path("built").exists());
}

#[test]
fn both_archives_name_the_same_image() {
    let place = Place::new();
    let [oci, docker] = build("/bin/true", &place);
    unpack(&oci, &place, "layout");
    unpack(&docker, &place, "saved");
    let version = env!("CARGO_PKG_VERSION");

    let index = json_file(place.path("layout/index.json"));
    let manifests = index["manifests"].as_array().unwrap();
    let names = manifests.iter().map(|manifest| {
        assert_eq!(manifest["digest"], manifests[0]["digest"]);
        &manifest["annotations"]["org.opencontainers.image.ref.name"]
    });
    assert_eq!(names.collect::<Vec<_>>(), ["latest"]);

    let manifest = blob(&place, &manifests[0]);
    let path_of = |descriptor: &Value| {
        let digest = descriptor["digest"].as_str().unwrap();
        format!("blobs/{}", digest.replace(':', "/"))
    };
    let tags = [version, "latest"].map(|tag| format!("thanos-login:{tag}"));
    assert_eq!(
        json_file(place.path("saved/manifest.json")),
        json!([{
            "Config": path_of(&manifest["config"]),
            "RepoTags": tags,
            "Layers": [path_of(&manifest["layers"][0])],
        }])
    );
    for descriptor in [&manifest["config"], &manifest["layers"][0]] {
        let path = path_of(descriptor);
        let [oci, docker] =
            ["layout", "saved"].map(|archive| fs::read(place.path(archive).join(&path)).unwrap());
        assert!(oci == docker, "{path}");
    }
}

#[test]
fn the_image_serves_by_default_as_an_unprivileged_user_and_checks_its_health() {
    let settings = settings();
    assert_eq!(settings["User"], "65532:65532");
    assert_eq!(settings["Entrypoint"], json!(["/thanos-login"]));
    assert_eq!(settings["Cmd"], json!(["serve"]));
    assert_eq!(settings["Volumes"], json!({"/data": {}}));
    assert_eq!(
        settings["Healthcheck"]["Test"],
        json!(["CMD", "/thanos-login", "healthcheck"])
    );
    assert_eq!(
        settings["Labels"]["org.opencontainers.image.version"],
        env!("CARGO_PKG_VERSION")
    );
}

/// An unpacked image, which runs with its settings except for the port, which may be in use.
struct Unpacked {
    place: Place,
    settings: Value,
    port: HeldPort,
}

impl Unpacked {
    #[track_caller]
    fn released() -> Self {
        let oci = release_file("thanos-login-", "-oci.tar");
        let docker = release_file("thanos-login-", "-docker.tar");
        let place = Place::new();
        unpack(&oci, &place, "layout");
        let layout = format!("{}:latest", place.path("layout").display());
        printed_by(
            Command::new("umoci")
                .args(["unpack", "--image", &layout])
                .arg(place.path("bundle")),
        );
        let config = |image: &str| -> Value {
            let text =
                printed_by(Command::new("skopeo").args(["inspect", "--config", "--raw", image]));
            serde_json::from_str(&text).unwrap()
        };
        let oci = config(&format!("oci-archive:{}", oci.display()));
        assert_eq!(oci, config(&format!("docker-archive:{}", docker.display())));
        Self {
            place,
            settings: oci["config"].clone(),
            port: HeldPort::new(),
        }
    }

    fn program(&self, args: &[&str]) -> Launch {
        let variables = self.settings["Env"].as_array().unwrap();
        let mut variables: Vec<&str> = variables.iter().filter_map(Value::as_str).collect();
        let address = format!("0.0.0.0:{}", self.port.number);
        let listen = format!("THANOS_LOGIN_LISTEN={address}");
        variables.push(&listen);
        let script = Path::new(CHECKOUT).join("tests/packages/run-unpacked");
        let root = self.place.path("bundle/rootfs");
        self.place
            .program(args)
            .under(&[
                script.to_str().unwrap(),
                root.to_str().unwrap(),
                self.settings["User"].as_str().unwrap(),
            ])
            .env("ENVIRONMENT", &variables.join(" "))
            // The harness then does not set an address.
            .env("THANOS_LOGIN_LISTEN", &address)
    }

    #[track_caller]
    fn run(&self, args: &[&str]) -> Finished {
        self.program(args).finish()
    }

    #[track_caller]
    fn start(&self, args: &[&str]) -> Container {
        let server = self.program(args).start();
        let parent = server.pid();
        let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"));
        let init = children.unwrap().trim().parse().unwrap();
        Container {
            server,
            init: Pid::from_raw(init),
        }
    }

    fn data(&self) -> Vec<String> {
        self.place.files("bundle/rootfs/data")
    }
}

/// A server that is process 1 of its namespace.
struct Container {
    server: Server,
    /// `None` when the process has ended.
    init: Option<Pid>,
}

impl Container {
    #[track_caller]
    fn stop(mut self) {
        kill_process(self.init.unwrap(), Signal::TERM).unwrap();
        self.server.wait().succeeded();
        self.init = None;
    }

    /// The lines of `/proc/PID/status` about users, groups and capabilities.
    fn status(&self) -> Vec<String> {
        let pid = self.init.unwrap().as_raw_nonzero();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        let names = ["Uid:", "Gid:", "Groups:", "CapEff:", "CapPrm:"];
        let is_selected = |line: &&str| names.iter().any(|name| line.starts_with(name));
        status.lines().filter(is_selected).map(words).collect()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if let Some(init) = self.init {
            let _ = kill_process(init, Signal::KILL);
        }
    }
}

#[test]
#[ignore = "needs root, umoci, skopeo and target/release-files"]
fn the_image_serves_from_a_read_only_root_and_keeps_its_accounts_in_data() {
    let image = Unpacked::released();
    assert_eq!(image.place.files("bundle/rootfs"), ["data", "thanos-login"]);
    let program = fs::read(image.place.path("bundle/rootfs/thanos-login")).unwrap();
    assert!(program == fs::read(static_binary()).unwrap());
    assert_eq!(image.run(&["healthcheck"]).code, Some(1));

    let server = image.start(&["serve"]);
    assert_eq!(
        server.status(),
        [
            "Uid: 65532 65532 65532 65532",
            "Gid: 65532 65532 65532 65532",
            "Groups:",
            "CapPrm: 0000000000000000",
            "CapEff: 0000000000000000",
        ]
    );
    image.run(&["healthcheck"]).succeeded();
    image.run(&["check"]).succeeded();
    image.run(&["seed"]).succeeded();
    assert_eq!(server.server.login(JWEIR, PASSWORD).status, 200);
    image.run(&["backup", "backup.db"]).succeeded();
    server.stop();
    assert_eq!(image.data(), ["backup.db", "thanos-login.db"]);
    assert_eq!(image.run(&["healthcheck"]).code, Some(1));

    image.run(&["restore", "backup.db", "--force"]).succeeded();
    let server = image.start(&["serve"]);
    assert_eq!(server.server.login(JWEIR, PASSWORD).status, 200);
    server.stop();
}

#[test]
#[ignore = "needs root, umoci, skopeo and target/release-files"]
fn the_image_runs_a_stub_that_leaves_nothing_behind_and_answers_requests_for_any_host() {
    let image = Unpacked::released();
    let stub = image.start(&["serve", "--demo"]);
    image.run(&["healthcheck"]).succeeded();
    assert_eq!(stub.server.login(JWEIR, PASSWORD).status, 200);
    let for_another_host = "GET /readyz HTTP/1.1\r\nHost: stub:8080\r\n\r\n";
    assert_eq!(stub.server.send(for_another_host).status, 200);
    stub.stop();
    assert_eq!(image.data(), [""; 0]);
}
