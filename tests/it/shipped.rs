//! The `gateway.toml` of the repository, served as a new user would: in an empty folder, without a key.

use std::io::Write as _;
use std::process::Stdio;

use crate::examples::at_any_port;
use crate::support::{Site, check_audit};

#[test]
fn the_shipped_configuration_serves_and_connect_reaches_it_without_a_key() {
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/gateway.toml");
    let shipped = std::fs::read_to_string(shipped).unwrap();
    // Whatever listens on the usual ports of this machine is left alone.
    let site = Site::new(&at_any_port(&shipped).replace("127.0.0.1:7401", "127.0.0.1:0"));
    let (code, said, _) = site.run(&["check"]);
    assert_eq!(code, 0, "{said}");
    let gateway = site.start();
    let mut bridge = site
        .command(&["connect", "--socket", "state/agents.sock"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let client =
        r#"{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"new","version":"1"}}"#;
    let mut input = bridge.stdin.take().unwrap();
    writeln!(input, r#"{{"jsonrpc":"2.0","id":1,"method":"initialize","params":{client}}}"#).unwrap();
    writeln!(input, r#"{{"jsonrpc":"2.0","id":2,"method":"tools/list"}}"#).unwrap();
    drop(input);
    let output = bridge.wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success() && said.contains("mail__send") && said.contains("browser__fetch"),
        "{said}"
    );
    assert!(gateway.stop().success());
    check_audit(&site);
}
