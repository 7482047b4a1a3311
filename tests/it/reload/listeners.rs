//! Listeners come, go and change while others serve.

use http::{Method, StatusCode};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{Edited, texts};
use crate::support::gateway::CHAT_KEY;
use crate::support::{Client, check_audit};

#[tokio::test]
async fn a_listener_that_is_added_serves_and_one_that_goes_is_closed() {
    let mut edited = Edited::new("");
    let gateway = edited.site.start();
    let client = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
    let free = free_port();
    edited.edit(
        "[auth.keys.person]",
        &format!("[listen.more]\naddress = \"127.0.0.1:{free}\"\n\n[auth.keys.person]"),
    );
    let answer = edited.take_effect();
    let url = format!("http://127.0.0.1:{free}/mcp");
    assert_eq!(texts(&answer["widened"]), [format!("listener more is new at {url}")], "{answer:#}");
    // A session is the caller's, whichever listener it comes by.
    let more = Client::new(&url, CHAT_KEY).in_session(client.session());
    assert_eq!(more.call("tools__read", "more").await.reason(), "ok");
    assert_eq!(client.call("tools__read", "main").await.reason(), "ok");
    edited.edit(&format!("[listen.more]\naddress = \"127.0.0.1:{free}\""), "");
    let answer = edited.take_effect();
    assert_eq!(texts(&answer["changed"]), ["listener more is gone"]);
    assert!(Client::new(&url, CHAT_KEY).try_send(Method::POST, "{}").await.is_none(), "nobody listens");
    assert_eq!(client.call("tools__read", "still").await.reason(), "ok");
    assert!(gateway.stop().success());
    check_audit(&edited.site);
}

#[tokio::test]
async fn a_place_that_is_taken_refuses_the_reload_as_a_whole() {
    let mut edited = Edited::new("");
    let gateway = edited.site.start();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (port, free) = (taken.local_addr().unwrap().port(), free_port());
    std::fs::write(edited.site.path("file"), "").unwrap();
    let more = format!(
        "[listen.free]\naddress = \"127.0.0.1:{free}\"\n\n[listen.taken]\naddress = \"127.0.0.1:{port}\"\n\n\
         [listen.odd]\nsocket = \"file\"\n\n[auth.keys.person]"
    );
    edited.edit("[auth.keys.person]", &more);
    edited.edit("ask = [\"tools.write\"]", "ask = []");
    let (code, answer) = edited.reload();
    assert_eq!((code, &answer["result"]), (78, &"refused".into()), "{answer:#}");
    let problems = answer["problems"].as_array().unwrap();
    assert_eq!(problems.len(), 2, "both are said: {answer:#}");
    let line = edited.config.lines().position(|line| line == "[listen.taken]").unwrap() + 1;
    let taken_one = problems.iter().find(|problem| problem["line"] == line).unwrap();
    assert_eq!(taken_one["code"], "cannot_listen");
    assert!(taken_one["message"].as_str().unwrap().contains("is in use"), "{taken_one}");
    let nobody = Client::new(&format!("http://127.0.0.1:{free}/mcp"), CHAT_KEY);
    assert!(nobody.try_send(Method::POST, "{}").await.is_none(), "what was free was given back");
    let client = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
    assert_eq!(client.call("tools__write", "asks").await.reason(), "approval_pending");
    assert!(gateway.stop().success());
    check_audit(&edited.site);
}

#[tokio::test]
async fn what_a_listener_vouches_for_and_which_pages_may_use_it_change_in_place() {
    let mut edited = Edited::new("");
    edited.edit(
        "address = \"127.0.0.1:0\"",
        "address = \"127.0.0.1:0\"\ninsecure_local = true\n\
         vouches = { source = \"email\", subject = \"user:9\", roles = [\"assistant\"] }",
    );
    let gateway = edited.site.start();
    let client = Client::anonymous(&gateway.url);
    let page = client.clone().header("origin", "http://localhost:6274");
    let call = |id: &str| json!({ "name": "tools__echo", "arguments": { "id": id } });
    assert_eq!(
        client.modern(1, "tools/call", call("by_listener_0")).await.reason(),
        "Unknown tool: tools__echo"
    );
    assert_eq!(page.modern(1, "tools/call", call("by_listener_1")).await.status, StatusCode::FORBIDDEN);
    edited.edit(
        "vouches = { source = \"email\", subject = \"user:9\"",
        "origins = [\"http://localhost:6274\"]\nvouches = { source = \"chat\", subject = \"user:9\"",
    );
    let answer = edited.take_effect();
    let expected = [
        "entry point listen.main: no longer email",
        "listener main: pages of http://localhost:6274 may use it",
    ];
    assert_eq!(texts(&answer["widened"]), expected, "{answer:#}");
    // The run of this caller was an email's, and its provenance does not shrink.
    assert_eq!(page.modern(2, "tools/call", call("by_listener_2")).await.reason(), "source_denies");
    edited.edit("subject = \"user:9\"", "subject = \"user:10\"");
    edited.take_effect();
    assert_eq!(page.modern(3, "tools/call", call("by_listener_3")).await.reason(), "ok");
    assert!(gateway.stop().success());
    check_audit(&edited.site);
}

#[tokio::test]
async fn a_socket_keeps_its_mode_until_a_restart() {
    let mut edited = Edited::new("");
    edited.edit("[auth.keys.person]", "[listen.agents]\nsocket = \"agents.sock\"\n\n[auth.keys.person]");
    let gateway = edited.site.start();
    edited.edit("socket = \"agents.sock\"", "socket = \"agents.sock\"\nmode = \"0660\"");
    let (code, answer) = edited.reload();
    assert_eq!((code, &answer["problems"][0]["code"]), (78, &"restart_needed".into()), "{answer:#}");
    // Another name for the same socket is no other socket.
    edited.edit("mode = \"0660\"", "");
    edited.edit("[listen.agents]", "[listen.renamed]");
    assert_eq!(texts(&edited.take_effect()["changed"]), ["listener agents is called renamed now"]);
    assert!(edited.site.path("agents.sock").exists());
    assert!(gateway.stop().success());
    check_audit(&edited.site);
}

#[tokio::test]
async fn a_socket_whose_name_another_one_has_now_does_not_vouch_for_what_that_one_does() {
    let mut edited = Edited::new("");
    let gateway = edited.site.start();
    let place = gateway.url.strip_prefix("http://").unwrap().strip_suffix("/mcp").unwrap();
    let mut old = TcpStream::connect(place).await.unwrap();
    old.write_all(b"POST /mcp HTTP/1.1\r\n").await.unwrap();
    // Taken in the order in which they connect: the one before is served by now.
    assert_eq!(Client::anonymous(&gateway.url).post("{}").await.status, StatusCode::UNAUTHORIZED);
    edited.edit(
        "address = \"127.0.0.1:0\"",
        &format!(
            "address = \"127.0.0.1:{}\"\ninsecure_local = true\n\
             vouches = {{ source = \"chat\", subject = \"user:9\", roles = [\"assistant\"] }}",
            free_port()
        ),
    );
    let answer = edited.take_effect();
    let new = answer["widened"].to_string();
    assert!(new.contains("listener main is new at"), "{answer:#}");
    let head = format!("host: {place}\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{{}}");
    old.write_all(head.as_bytes()).await.unwrap();
    let mut status = [0; 12];
    old.read_exact(&mut status).await.unwrap();
    assert_eq!(std::str::from_utf8(&status).unwrap(), "HTTP/1.1 401");
    assert!(gateway.stop().success());
    check_audit(&edited.site);
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
