//! A witness of checkpoints: another implementation of C2SP tlog-witness (`tests/fixtures/witness_server.py`) signs that
//! the journal only grows, and refuses one that was taken back.

use std::io::{BufRead as _, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::support::gateway::{CHAT_KEY, Gateway};
use crate::support::{Client, Site, check_audit};

/// The witness, which remembers what it signed in the site.
struct Witness {
    process: Child,
    said: Lines<BufReader<ChildStdout>>,
    port: u16,
    key: String,
}

impl Witness {
    fn start(site: &Site) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/witness_server.py");
        let mut command = Command::new("python3");
        command.arg(script).arg(site.path("witness.json")).arg(site.path("log.key"));
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(process.stdout.take().unwrap()).lines();
        let first = said.next().unwrap().unwrap();
        let (port, key) = first.split_once(' ').unwrap();
        Self { process, said, port: port.parse().unwrap(), key: key.to_owned() }
    }

    /// What it answers next.
    fn answers(&mut self) -> String {
        self.said.next().unwrap().unwrap()
    }

    fn configure(&self, site: &Site) {
        let audit = format!(
            "\n[audit]\ncheckpoint_every = \"1s\"\n[[audit.sinks]]\nname = \"w1\"\ntype = \"witness\"\n\
             url = \"http://127.0.0.1:{}/prefix\"\nkey = {:?}\npath = \"witnessed.note\"\n",
            self.port, self.key
        );
        site.edit(|text| text + &audit);
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        _ = self.process.kill();
        _ = self.process.wait();
    }
}

async fn call(gateway: &Gateway, id: &str) {
    let client = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
    assert_eq!(client.call("tools__read", id).await.reason(), "ok");
}

/// A gateway that has lived once, so that there is a key, known to the witness as `log.key`.
async fn site() -> Site {
    let site = Site::with_oracle("[admin]\naddress = \"127.0.0.1:0\"\n");
    let gateway = site.start();
    call(&gateway, "before").await;
    assert!(gateway.stop().success());
    let (code, key, _) = site.run(&["audit", "key"]);
    assert_eq!(code, 0);
    std::fs::write(site.path("log.key"), key).unwrap();
    site
}

fn size(note: &Path) -> u64 {
    std::fs::read_to_string(note).unwrap().lines().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_witness_signs_every_step_of_the_journal_and_verify_counts_what_it_signed() {
    let site = site().await;
    let mut witness = Witness::start(&site);
    witness.configure(&site);
    let kept = site.path("witnessed.note");
    let mut last = 0;
    for life in ["first", "second", "third"] {
        let gateway = site.start();
        call(&gateway, life).await;
        assert_eq!(witness.answers(), "200", "{life}");
        assert!(gateway.stop().success());
        assert!(size(&kept) > last, "{life}");
        last = size(&kept);
    }
    let verify = |witness: &str| {
        let key = ["--key", "log.key", "--checkpoint", "witnessed.note", "--witness", witness];
        site.run(&[&["audit", "verify"], key.as_slice()].concat())
    };
    let (code, said, error) = verify(&witness.key);
    assert!(code == 0 && said.contains("what is signed reaches up to record"), "{said}{error}");
    // A note that the witness did not sign is none that it saw, whatever else stands under it.
    let note = std::fs::read_to_string(&kept).unwrap();
    let cut = note.lines().filter(|line| !line.contains("witness.example")).collect::<Vec<_>>().join("\n");
    std::fs::write(&kept, cut + "\n").unwrap();
    let (code, _, error) = verify(&witness.key);
    assert!(code != 0 && error.contains("by the witness `witness.example/w1`"), "{code} {error}");
    check_audit(&site);
}

#[tokio::test]
async fn what_is_lost_on_either_side_is_found_again() {
    let site = site().await;
    let mut witness = Witness::start(&site);
    witness.configure(&site);
    let (kept, down) = (site.path("witnessed.note"), site.path("witness.json.down"));
    std::fs::write(&down, "").unwrap();
    let gateway = site.start();
    call(&gateway, "while it is down").await;
    assert_eq!(witness.answers(), "503");
    assert!(!kept.exists());
    std::fs::remove_file(down).unwrap();
    while witness.answers() != "200" {}
    // Nobody here remembers what it signed: it says so itself.
    assert!(gateway.stop().success());
    std::fs::remove_file(&kept).unwrap();
    while_old(&mut witness, &site, "409").await;
    assert!(kept.exists());
    // It forgot everything, and we did not: it is told from the beginning.
    std::fs::remove_file(site.path("witness.json")).unwrap();
    while_old(&mut witness, &site, "409").await;
    check_audit(&site);
}

/// A life in which the witness answers with `first`, and signs then.
async fn while_old(witness: &mut Witness, site: &Site, first: &str) {
    let gateway = site.start();
    call(&gateway, "again").await;
    // What the life before was answered late may come first.
    while witness.answers() != first {}
    while witness.answers() != "200" {}
    assert!(gateway.stop().success());
}

#[tokio::test]
async fn a79_a_journal_that_was_taken_back_is_told_and_not_witnessed() {
    let site = site().await;
    let mut witness = Witness::start(&site);
    witness.configure(&site);
    let (state, before) = (site.path("state"), site.path("before"));
    let copied = Command::new("cp").arg("-a").args([&state, &before]).status().unwrap();
    assert!(copied.success());
    for life in 0..2 {
        let gateway = site.start();
        for id in 0..20 {
            call(&gateway, &format!("{life}-{id}")).await;
        }
        while witness.answers() != "200" {}
        assert!(gateway.stop().success());
    }
    let kept = site.path("witnessed.note");
    let seen = std::fs::read_to_string(&kept).unwrap();
    std::fs::remove_dir_all(&state).unwrap();
    std::fs::rename(&before, &state).unwrap();
    // What was kept tells it, and where that is gone too, the witness does.
    for is_kept in [true, false] {
        let gateway = site.start();
        call(&gateway, "after").await;
        let health = loop {
            let health = gateway.shows("/readyz").await;
            if health.contains("sink_failing") {
                break health;
            }
        };
        assert!(health.contains("lines of this journal are gone"), "{health}");
        assert!(gateway.stop().success());
        if is_kept {
            assert_eq!(std::fs::read_to_string(&kept).unwrap(), seen);
            std::fs::remove_file(&kept).unwrap();
        }
    }
    assert!(!kept.exists());
    while witness.answers() != "409" {}
}
