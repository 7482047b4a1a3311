//! A gateway that is not root: capabilities that its tool servers must not have, and root that starts its runs.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::support::{Site, namespace};

/// As systemd starts it with `AmbientCapabilities=`: not root, in a group, with three capabilities.
fn as_a_service(command: &Command) -> Command {
    let capabilities = "+setuid,+setgid,+kill";
    let mut service = Command::new("setpriv");
    service.args(["--reuid", "nobody", "--regid", "65534", "--groups", "65534,1"]);
    service.args(["--inh-caps", capabilities, "--ambient-caps", capabilities, "--"]);
    service.arg(command.get_program()).args(command.get_args());
    service
}

#[test]
fn i10_a_tool_server_under_its_own_user_has_no_capability_and_no_group_of_the_gateway() {
    if !namespace::is_root() {
        return namespace::as_root(
            "privileges::i10_a_tool_server_under_its_own_user_has_no_capability_and_no_group_of_the_gateway",
        );
    }
    let site = Site::new("");
    std::fs::copy(env!("CARGO_BIN_EXE_sluicegate"), site.path("sluicegate")).unwrap();
    let open = site.path("open");
    std::fs::create_dir(&open).unwrap();
    let tell = |name: &str| format!("cat /proc/self/status >{}/{name}", open.display());
    site.configure(&format!(
        r#"
[listen.main]
address = "127.0.0.1:0"
insecure_local = true
vouches = {{ source = "chat", subject = "user:1", roles = ["assistant"] }}
[upstreams.other]
command = ["sh", "-c", "{}"]
user = "daemon"
cwd = "/"
returns = "trusted"
[upstreams.own]
command = ["sh", "-c", "{}"]
returns = "trusted"
[sources.chat]
allow = ["*"]
[roles.assistant]
allow = ["*"]
"#,
        tell("other"),
        tell("own"),
    ));
    assert!(Command::new("chown").args(["-R", "nobody"]).arg(site.path("")).status().unwrap().success());
    for (path, mode) in [(site.path(""), 0o711), (open.clone(), 0o777)] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    let mut command = Command::new(site.path("sluicegate"));
    let checked = as_a_service(command.arg("check")).current_dir(site.path("")).output().unwrap();
    assert!(checked.status.success(), "{checked:?}");
    let mut command = Command::new(site.path("sluicegate"));
    command.args(["serve", "--config", "gateway.toml"]);
    let mut service = as_a_service(&command);
    service.current_dir(site.path(""));
    let gateway = site.try_start_by(service).unwrap_or_else(|said| panic!("{said}"));
    assert!(gateway.stop().success());
    for (name, uid) in [("other", "1"), ("own", "65534")] {
        let status = std::fs::read_to_string(open.join(name)).unwrap();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(&format!("{name}:")));
            line.unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(field("Uid"), [uid; 4].join(" "), "{name}");
        for capabilities in ["CapPrm", "CapEff", "CapAmb"] {
            assert_eq!(field(capabilities), "0000000000000000", "{name} {capabilities}");
        }
        assert_eq!(field("Groups"), "", "{name}");
    }
}

#[test]
fn root_starts_a_run_under_a_third_user_of_a_gateway_that_is_somebody_else() {
    if !namespace::is_root() {
        return namespace::as_root(
            "privileges::root_starts_a_run_under_a_third_user_of_a_gateway_that_is_somebody_else",
        );
    }
    let site = Site::new("");
    std::fs::copy(env!("CARGO_BIN_EXE_sluicegate"), site.path("sluicegate")).unwrap();
    // The secret is in the gateway's environment alone.
    site.configure(
        r#"
[gateway]
url = "http://gateway.test/mcp"
state_dir = "./state"
[listen.main]
address = "127.0.0.1:0"
[auth.mint]
may_assert = { sources = ["cron"], subjects = ["svc-cron"] }
[upstreams.mail]
command = ["sluicegate", "demo-upstream", "mail"]
env = { MAIL_TOKEN = { env = "ONLY_THE_GATEWAY_HAS_THIS" } }
returns = "trusted"
[sources.cron]
allow = ["mail.*"]
trigger = { attempt = "integer" }
"#,
    );
    assert!(Command::new("chown").args(["-R", "nobody"]).arg(site.path("")).status().unwrap().success());
    let mut serve = Command::new("setpriv");
    serve.args(["--reuid", "nobody", "--regid", "65534", "--clear-groups", "--"]);
    serve.arg(site.path("sluicegate")).args(["serve", "--config", "gateway.toml"]);
    serve.current_dir(site.path("")).env("ONLY_THE_GATEWAY_HAS_THIS", "s3cret");
    let gateway = site.try_start_by(serve).unwrap_or_else(|said| panic!("{said}"));
    let label = ["run", "--source", "cron", "--subject", "svc-cron", "--trigger", "attempt=2"];
    let user =
        ["--user", "daemon", "--", "sh", "-c", "id -u; test -r \"$SLUICEGATE_TOKEN_FILE\" && echo has it"];
    let (code, out, err) = site.run(&[&label[..], &user[..]].concat());
    assert_eq!((code, out.as_str()), (0, "1\nhas it\n"), "{err}");
    let (code, out, err) = site.run(&["token", "mint", "--source", "cron", "--subject", "svc-cron"]);
    assert!(code == 0 && out.starts_with("ey"), "{out}{err}");
    assert!(gateway.stop().success());
}
