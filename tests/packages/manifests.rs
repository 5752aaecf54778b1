//! Checks the compose file and the Kubernetes manifests against the image and the program.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::{container, printed_by};
use crate::harness::{Place, Server, request};

const MANIFESTS: [&str; 2] = ["kubernetes.yaml", "kubernetes-postgres.yaml"];

fn path_of(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("deploy/container")
        .join(name)
}

/// The documents in a YAML file.
#[track_caller]
fn documents(path: &Path) -> Vec<Value> {
    let program =
        "import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(open(sys.argv[1])))))";
    let text = printed_by(Command::new("python3").args(["-c", program]).arg(path));
    serde_json::from_str(&text).unwrap()
}

/// The specification of the pods in a manifest.
#[track_caller]
fn pods(name: &str) -> Value {
    let documents = documents(&path_of(name));
    let deployment = documents.iter().find(|it| it["kind"] == "Deployment");
    deployment.unwrap()["spec"]["template"]["spec"].clone()
}

/// Checks that the program reads each of these environment variables.
#[track_caller]
fn assert_known<'a>(variables: impl IntoIterator<Item = &'a str>) {
    let help = Place::new().run(&["serve", "-h"]).succeeded().stdout;
    for variable in variables {
        let is_flag = help.contains(&format!("[env: {variable}="));
        let is_password = ["PGPASSWORD", "PGPASSFILE"].contains(&variable);
        assert!(is_flag || is_password, "{variable}");
    }
}

#[test]
fn the_program_reads_the_variables_of_the_image() {
    let settings = container::settings();
    let variables = settings["Env"].as_array().unwrap().iter();
    let names = variables.map(|it| it.as_str().unwrap().split_once('=').unwrap().0);
    assert_known(names.filter(|name| !["PATH", "TMPDIR"].contains(name)));
}

#[test]
#[ignore = "needs kubernetes-validate"]
fn the_manifests_are_valid_for_kubernetes() {
    for name in MANIFESTS {
        let mut command = Command::new("kubernetes-validate");
        printed_by(command.arg("--strict").arg(path_of(name)));
    }
}

#[test]
#[ignore = "needs Python's yaml"]
fn pods_run_the_image_as_its_user_and_without_privileges() {
    let settings = container::settings();
    let (user, _) = settings["User"].as_str().unwrap().split_once(':').unwrap();
    let user: u32 = user.parse().unwrap();
    let probed = Server::demo();
    for name in MANIFESTS {
        let pods = pods(name);
        let security = &pods["securityContext"];
        for (field, expected) in [
            ("runAsNonRoot", json!(true)),
            ("runAsUser", json!(user)),
            ("runAsGroup", json!(user)),
            ("fsGroup", json!(user)),
            ("seccompProfile", json!({"type": "RuntimeDefault"})),
        ] {
            assert_eq!(security[field], expected, "{name}: {field}");
        }
        assert_eq!(pods["automountServiceAccountToken"], false, "{name}");
        // The program would report the variables of a service thanos-login as unknown.
        assert_eq!(pods["enableServiceLinks"], false, "{name}");

        let container = &pods["containers"][0];
        assert_eq!(
            container["securityContext"],
            json!({
                "allowPrivilegeEscalation": false,
                "readOnlyRootFilesystem": true,
                "capabilities": {"drop": ["ALL"]},
            }),
            "{name}"
        );
        assert_eq!(container["args"], settings["Cmd"], "{name}");
        let mounts = container["volumeMounts"].as_array().unwrap();
        let data = mounts.iter().find(|mount| mount["mountPath"] == "/data");
        assert_eq!(data.unwrap()["readOnly"], Value::Null, "{name}");

        let port = &container["ports"][0];
        let exposed = format!("{}/tcp", port["containerPort"]);
        assert_ne!(settings["ExposedPorts"][&exposed], Value::Null, "{name}");
        for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
            let target = &container[probe]["httpGet"];
            assert_eq!(target["port"], port["name"], "{name}: {probe}");
            let path = target["path"].as_str().unwrap();
            let answer = probed.send(request("GET", path, &[], ""));
            assert_eq!(answer.status, 200, "{name}: {probe}");
        }

        let variables = container["env"].as_array().unwrap().iter();
        assert_known(variables.map(|variable| variable["name"].as_str().unwrap()));
    }
}

#[test]
#[ignore = "needs Python's yaml"]
fn a_file_is_served_by_one_replica_and_a_database_by_several() {
    let specification = |name| {
        let documents = documents(&path_of(name));
        let deployment = documents.iter().find(|it| it["kind"] == "Deployment");
        deployment.unwrap()["spec"].clone()
    };
    let [file, database] = MANIFESTS.map(specification);
    assert_eq!(file["replicas"], 1);
    assert_eq!(file["strategy"], json!({"type": "Recreate"}));
    assert!(database["replicas"].as_u64().unwrap() > 1);
    let environment = &database["template"]["spec"]["containers"][0]["env"];
    let password = environment
        .as_array()
        .unwrap()
        .iter()
        .find(|variable| variable["name"] == "PGPASSWORD");
    assert!(password.unwrap()["valueFrom"]["secretKeyRef"].is_object());
}

#[test]
#[ignore = "needs docker-compose and Python's yaml"]
fn the_compose_file_is_valid_and_gives_both_services_a_read_only_root_without_privileges() {
    let place = Place::new();
    let mut command = Command::new("docker-compose");
    command.arg("--file").arg(path_of("compose.yaml"));
    place.write(
        "config.yaml",
        printed_by(command.args(["--profile", "stub", "config"])),
    );
    let services = documents(&place.path("config.yaml"))[0]["services"].clone();
    for name in ["thanos-login", "stub"] {
        let service = &services[name];
        assert_eq!(service["read_only"], true, "{name}");
        assert_eq!(service["cap_drop"], json!(["ALL"]), "{name}");
        assert_eq!(
            service["security_opt"],
            json!(["no-new-privileges:true"]),
            "{name}"
        );
    }
    assert_eq!(services["stub"]["command"], json!(["serve", "--demo"]));
    let variables = services["thanos-login"]["environment"].as_object().unwrap();
    assert_known(variables.keys().map(String::as_str));
}
