//! A harness submits a plan without a model: `plan submit`, and `run --plan`.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use crate::support::Site;
use crate::support::audit::{check_signed, of_kind};
use crate::support::tokens::minting;

const LABEL: [&str; 6] = ["--source", "email", "--subject", "user:1", "--role", "assistant"];

fn plan(site: &Site, name: &str, steps: &Value) -> String {
    std::fs::write(site.path(name), json!({ "v": 1, "steps": steps }).to_string()).unwrap();
    name.to_owned()
}

/// Steps that are granted, that wait for a person, and that are refused.
fn plans(site: &Site) -> [String; 3] {
    let step = |id: &str, tool: &str| json!({ "id": id, "tool": tool, "args": { "id": { "lit": "ann" } } });
    let (read, send, hidden) =
        (step("s1", "tools__read"), step("s2", "tools__send"), step("s3", "tools__write"));
    [
        plan(site, "granted.json", &json!([read])),
        plan(site, "person.json", &json!([read, send])),
        plan(site, "refused.json", &json!([read, send, hidden])),
    ]
}

fn token(site: &Site) {
    let (code, token, err) = site.run(&[&["token", "mint"], &LABEL[..]].concat());
    assert_eq!(code, 0, "{err}");
    std::fs::write(site.path("token"), token.lines().next().unwrap()).unwrap();
    std::fs::set_permissions(site.path("token"), std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn submit(site: &Site, url: &str, more: &[&str]) -> (i32, String, String) {
    let reach = ["plan", "submit", "--url", url, "--token-file", "token"];
    site.run(&[&reach[..], more].concat())
}

#[tokio::test]
async fn a_harness_submits_a_plan_in_the_run_of_its_token_and_the_exit_code_says_what_came_of_it() {
    let site = Site::with_oracle(&minting());
    let gateway = site.start();
    token(&site);
    let [granted, person, refused] = plans(&site);
    let (code, out, err) = submit(&site, &gateway.url, &[&granted]);
    assert!(code == 0 && out.contains("s1    granted") && out.contains("counts until 20"), "{out}{err}");
    let (code, out, err) = submit(&site, &gateway.url, &[&person]);
    assert!(code == 3 && out.contains("s2    needs a person"), "{out}{err}");
    assert!(out.contains("s2: plan_uncovered: ") && out.contains("approvals list"), "{out}");
    let (code, out, err) = submit(&site, &gateway.url, &[&refused, "--json"]);
    assert_eq!(code, 1, "{out}{err}");
    let told: Value = serde_json::from_str(&out).unwrap();
    let verdicts: Vec<_> = told["steps"].as_array().unwrap().iter().map(|step| &step["verdict"]).collect();
    assert_eq!(verdicts, ["granted", "person", "refused"], "{told}");
    assert!(told["until"].is_string(), "{told}");
    // What is no plan does not reach the gateway, and whoever nobody vouches for is refused.
    plan(&site, "broken.json", &json!([{ "id": "s1" }]));
    let (code, _, err) = submit(&site, &gateway.url, &["broken.json"]);
    assert!(
        code == 1 && err.contains("broken.json: step `s1`") && err.contains("`tool` is missing"),
        "{err}"
    );
    std::fs::write(site.path("token"), "sk_nobody").unwrap();
    let (code, _, err) = submit(&site, &gateway.url, &[&granted]);
    assert!(code == 1 && err.contains("the gateway refused"), "{err}");
    let url = gateway.url.clone();
    assert!(gateway.stop().success());
    let (code, _, err) = submit(&site, &url, &[&granted]);
    assert_eq!(code, 69, "{err}");
    let plans = of_kind(&site, "plan");
    assert_eq!(plans.len(), 3);
    assert!(plans.iter().all(|plan| plan["run"] == plans[0]["run"]), "one token, one run");
    check_signed(&site);
}

#[tokio::test]
async fn a_plan_stands_before_the_command_of_a_run_starts_or_it_does_not_start() {
    let site = Site::with_oracle(&minting());
    let gateway = site.start();
    let [_, person, refused] = plans(&site);
    let run = |plan: &str| {
        let script = ["--", "sh", "-c", "touch started; echo ran"];
        site.run(&[&["run"], &LABEL[..], &["--plan", plan], &script[..]].concat())
    };
    let (code, out, err) = run(&refused);
    assert!(
        code == 1 && err.contains("s3    refused") && err.contains("the command is not started"),
        "{err}"
    );
    assert!(out.is_empty() && !site.path("started").exists(), "{out}");
    let (code, out, err) = run(&person);
    assert!(code == 0 && out == "ran\n" && err.contains("s2    needs a person"), "{out}{err}");
    assert!(gateway.stop().success());
    let plans = of_kind(&site, "plan");
    assert_ne!(plans[0]["run"], plans[1]["run"], "each command is a run of its own");
    let ended: Vec<_> = of_kind(&site, "run_end").iter().map(|end| end["run"].clone()).collect();
    assert!(plans.iter().all(|plan| ended.contains(&plan["run"])), "{ended:?}");
    check_signed(&site);
}
