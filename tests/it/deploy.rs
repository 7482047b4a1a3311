//! The units, the image and their configurations against the program that they are for.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Site, check_audit};

fn deploy(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name)
}

fn read(name: &str) -> String {
    std::fs::read_to_string(deploy(name)).unwrap()
}

/// The values of a directive of a unit.
fn values<'a>(unit: &'a str, key: &str) -> Vec<&'a str> {
    let lines = unit.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| line.split_once('='))
        .filter(|(name, _)| *name == key)
        .map(|(_, value)| value)
        .collect()
}

/// The one value of a directive.
#[track_caller]
fn value<'a>(unit: &'a str, key: &str) -> &'a str {
    match values(unit, key).as_slice() {
        [value] => value,
        others => panic!("{key} stands there {} times", others.len()),
    }
}

/// Asserts that the program takes these arguments.
#[track_caller]
fn assert_offered(arguments: &[&str]) {
    let [command, options @ ..] = arguments else { panic!("no command") };
    let help = Command::new(env!("CARGO_BIN_EXE_sluicegate")).args([*command, "--help"]).output().unwrap();
    assert!(help.status.success(), "there is no `{command}`");
    let help = String::from_utf8(help.stdout).unwrap();
    for option in options.iter().filter(|option| option.starts_with('-')) {
        let name = option.split('=').next().unwrap();
        assert!(help.contains(&format!("{name} ")), "`{command}` has no `{name}`");
    }
}

#[test]
fn the_units_and_the_image_start_what_the_program_offers() {
    let service = read("systemd/sluicegate.service");
    let started = [values(&service, "ExecStartPre"), values(&service, "ExecStart")].concat();
    assert_eq!(started.len(), 2, "{started:?}");
    for line in started {
        let words: Vec<_> = line.split_whitespace().collect();
        assert_eq!(words[0], "/usr/local/bin/sluicegate");
        assert_offered(&words[1..]);
    }
    let image = read("container/Containerfile");
    let list = |word: &str| -> Vec<String> {
        let line = image.lines().find_map(|line| line.strip_prefix(word)).unwrap();
        serde_json::from_str(line).unwrap()
    };
    assert_eq!(list("ENTRYPOINT "), ["/usr/local/bin/sluicegate"]);
    let arguments = list("CMD ");
    assert_offered(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn whom_the_units_and_the_image_name_is_made() {
    let service = read("systemd/sluicegate.service");
    let sysusers = read("systemd/sluicegate.sysusers");
    let user = value(&service, "User");
    assert!(sysusers.contains(&format!("\nu {user} ")), "{sysusers}");
    let group = read("systemd/sluicegate-agents.socket");
    let group = value(&group, "SocketGroup");
    assert!(sysusers.contains(&format!("\ng {group} ")), "{sysusers}");
    let image = read("container/Containerfile");
    let id = image.lines().find_map(|line| line.strip_prefix("USER ")).unwrap();
    assert_eq!(id, "65532:65532");
    assert!(read("container/build").contains(&format!("sluicegate:x:{id}:")));
    assert!(image.matches("--chown=").count() == image.matches(&format!("--chown={id} ")).count());
}

#[test]
fn the_configuration_of_the_units_serves_on_their_sockets_with_their_credentials() {
    let site = Site::new("");
    let here = |name: &str| site.path(name).display().to_string();
    let service = read("systemd/sluicegate.service");
    let credentials = site.path("credentials");
    std::fs::create_dir(&credentials).unwrap();
    for credential in values(&service, "LoadCredential") {
        let (id, _) = credential.split_once(':').unwrap();
        std::fs::write(credentials.join(id), "secret\n").unwrap();
        std::fs::set_permissions(credentials.join(id), std::os::unix::fs::PermissionsExt::from_mode(0o400))
            .unwrap();
    }
    let state = format!("/var/lib/{}", value(&service, "StateDirectory"));
    assert_eq!(value(&service, "StateDirectoryMode"), "0700");
    let config = read("systemd/gateway.toml")
        .replace("/run/credentials/sluicegate.service", &credentials.display().to_string())
        .replace(&state, &here("state"))
        .replace("/run/sluicegate/", &here(""))
        .replace("127.0.0.1:7400", "127.0.0.1:0")
        .replace("127.0.0.1:7401", "127.0.0.1:0");
    site.configure(&config);
    let mut command = Command::new("python3");
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/activate.py"));
    for unit in value(&service, "Sockets").split_whitespace() {
        let unit = read(&format!("systemd/{unit}"));
        let (name, stream) = (value(&unit, "FileDescriptorName"), value(&unit, "ListenStream"));
        command.arg(match stream.strip_prefix("/run/sluicegate/") {
            Some(path) => format!("{name}=unix:{}:{}", value(&unit, "SocketMode"), here(path)),
            None => format!("{name}=tcp:{}", stream.replace(":7400", ":0")),
        });
        assert_eq!(value(&unit, "Service"), "sluicegate.service");
    }
    command.arg("--").arg(env!("CARGO_BIN_EXE_sluicegate")).args(["serve", "--config", "gateway.toml"]);
    command.current_dir(site.path(""));
    let gateway = site.try_start_by(command).unwrap_or_else(|said| panic!("{said}"));
    assert!(gateway.place("web").starts_with("http://127.0.0.1:"));
    assert!(gateway.stop().success());
    check_audit(&site);
}

#[test]
fn the_configuration_of_the_image_serves() {
    let site = Site::new("");
    let config = read("container/gateway.toml")
        .replace("/var/lib/sluicegate/", &site.path("").display().to_string())
        .replace("/run/sluicegate/", &site.path("").display().to_string())
        .replace("127.0.0.1:7401", "127.0.0.1:0");
    site.configure(&config);
    let (code, said, _) = site.run(&["check"]);
    assert!(code == 0 && !said.contains("warning["), "{said}");
    let gateway = site.start();
    assert!(gateway.stop().success());
}
