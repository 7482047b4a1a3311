//! Files as each client writes them (tests/cases/clients): what is read of them, and what is left of them.

use std::collections::BTreeMap;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use super::*;

/// The files of every client, in folders of their own.
struct Desk {
    _dir: tempfile::TempDir,
    folders: Folders,
}

impl Desk {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let (home, project) = (root.join("home"), root.join("project"));
        let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/clients");
        copy(
            &cases,
            &root,
            &[("PROJECT", &project.to_string_lossy()), ("SLUICEGATE", "/usr/bin/sluicegate")],
        );
        let folders = Folders { settings: home.join(".config"), codex: home.join(".codex"), home, project };
        Self { _dir: dir, folders }
    }

    fn found(&self) -> Vec<Found> {
        let places = Client::ALL.into_iter().flat_map(|client| client.places(&self.folders));
        places.filter_map(|place| read(&place, &self.folders).unwrap()).collect()
    }

    fn servers(&self) -> BTreeMap<String, Server> {
        let all = self.found().into_iter().flat_map(|found| {
            let client = found.place.client.word();
            found.servers.into_iter().map(move |server| (format!("{client}/{}", server.name), server))
        });
        all.collect()
    }

    fn place(&self, end: &str) -> Place {
        let mut places = Client::ALL.into_iter().flat_map(|client| client.places(&self.folders));
        places
            .find(|place| place.path.ends_with(end) && place.path.exists())
            .unwrap_or_else(|| panic!("no {end}"))
    }
}

fn copy(from: &Path, to: &Path, words: &[(&str, &str)]) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target, words);
        } else {
            let text = std::fs::read_to_string(&path).unwrap();
            std::fs::write(target, words.iter().fold(text, |text, (from, to)| text.replace(from, to)))
                .unwrap();
        }
    }
}

fn bridge() -> Bridge {
    let words = ["connect", "--url", "http://127.0.0.1:7400/mcp", "--key-file", "/srv/secrets/clients.key"];
    Bridge { program: PathBuf::from("/usr/bin/sluicegate"), arguments: words.map(str::to_owned).to_vec() }
}

fn known(value: &Value) -> Result<String, Unresolved> {
    value.resolve(|name| (name == "KNOWN").then(|| "known".to_owned()))
}

fn words(server: &Server) -> Vec<String> {
    let Launch::Process { command, .. } = &server.launch else { panic!("{server:?}") };
    command.iter().map(|word| known(word).unwrap()).collect()
}

#[test]
fn every_client_is_read_as_it_writes() {
    let desk = Desk::new();
    let servers = desk.servers();
    let names: Vec<&str> = servers.keys().map(String::as_str).collect();
    let expected = [
        "claude-code/calendar",
        "claude-code/github",
        "claude-code/mail",
        "claude-desktop/filesystem",
        "claude-desktop/search",
        "codex/jira",
        "codex/web search",
        "cursor/docs",
        "cursor/linear",
        "cursor/notes",
        "gemini/store",
        "vs-code/browser",
        "vs-code/postgres",
        "windsurf/figma",
    ];
    assert_eq!(names, expected);
    let project = desk.folders.project.to_string_lossy();
    assert_eq!(words(&servers["cursor/docs"]), ["python3".to_owned(), format!("{project}/docs_server.py")]);
    assert_eq!(words(&servers["cursor/notes"]), [format!("{}/bin/notes-mcp", desk.folders.home.display())]);
    let Launch::Process { env, .. } = &servers["cursor/notes"].launch else { panic!() };
    assert_eq!(env["NOTES_KEY"].variable(), Some("NOTES_KEY"));
    let Launch::Process { env, .. } = &servers["codex/jira"].launch else { panic!() };
    assert_eq!(env["JIRA_TOKEN"].variable(), Some("JIRA_TOKEN"));
    assert_eq!(servers["codex/jira"].tools.without, ["delete_issue"]);
    assert_eq!(servers["gemini/store"].tools.only, Some(vec!["list_items".to_owned()]));
    let Launch::Process { env, .. } = &servers["vs-code/postgres"].launch else { panic!() };
    assert_eq!(known(&env["PGPASSWORD"]), Err(Unresolved::Asked("pg-password".to_owned())));
    let Launch::Http { headers, .. } = &servers["claude-code/github"].launch else { panic!() };
    assert_eq!(headers["Authorization"].variables().collect::<Vec<_>>(), ["GITHUB_TOKEN"]);
    let Launch::Http { headers, .. } = &servers["codex/web search"].launch else { panic!() };
    assert_eq!(known(&headers["Authorization"]), Err(Unresolved::Unset("SEARCH_TOKEN".to_owned())));
    assert_eq!(known(&headers["X-Region"]).unwrap(), "eu");
    let Launch::Http { is_event_stream, .. } = &servers["cursor/linear"].launch else { panic!() };
    assert!(is_event_stream);
    let skipped: Vec<String> =
        desk.found().into_iter().flat_map(|found| found.skipped).map(|skipped| skipped.name).collect();
    assert_eq!(skipped, ["envfile", "old"]);
}

#[test]
fn what_claude_code_was_told_to_leave_alone_is_left_out() {
    let desk = Desk::new();
    let settings = desk.folders.project.join(".claude");
    std::fs::create_dir(&settings).unwrap();
    std::fs::write(settings.join("settings.local.json"), "{\"disabledMcpjsonServers\": [\"github\"]}")
        .unwrap();
    let found = read(&desk.place(".mcp.json"), &desk.folders).unwrap().unwrap();
    let names = |all: &[Server]| all.iter().map(|server| server.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&found.servers), ["mail"]);
    assert_eq!(found.skipped[0].name, "github");
}

#[test]
fn references_are_told_apart_from_what_is_written_out() {
    let folders = Desk::new().folders;
    let value = |text: &str, references| known(&Value::parse(text, references, &folders));
    use format::References::{Dollar, Named, None, Shell};
    assert_eq!(value("a ${KNOWN} ${X:-b}", Shell).unwrap(), "a known b");
    assert_eq!(value("$KNOWN", Shell).unwrap(), "$KNOWN");
    assert_eq!(value("$KNOWN-${KNOWN}$", Dollar).unwrap(), "known-known$");
    assert_eq!(value("${env:KNOWN}${/}x", Named).unwrap(), "known/x");
    assert_eq!(value("${KNOWN}", None).unwrap(), "${KNOWN}");
    assert_eq!(value("a ${", Shell).unwrap(), "a ${");
    assert!(value("${UNKNOWN}", Shell).is_err());
    assert_eq!(format!("{:?}", Value::parse("seed", None, &folders)), "Value(…)");
}

#[test]
fn a_file_is_changed_where_it_has_to_be_and_nowhere_else() {
    let desk = Desk::new();
    for found in desk.found() {
        let text = std::fs::read_to_string(&found.place.path).unwrap();
        let all: Vec<String> = found.servers.iter().map(|server| server.name.clone()).collect();
        for remove in [&all[..], &all[..all.len().min(1)], &[]] {
            let change = Change { place: &found.place, bridge: &bridge(), remove };
            let after = changed(&change, Some(&text)).unwrap();
            assert!(after.contains("--key-file"), "{after}");
            // Doing it again changes nothing more.
            assert_eq!(changed(&change, Some(&after)).unwrap().matches("--key-file").count(), 1);
            for comment in
                ["// What the team uses.", "# Where I work.", "\"tipsHistory\": {\"shift-enter\": 3}\n}"]
            {
                assert_eq!(after.contains(comment), text.contains(comment), "{after}");
            }
        }
    }
    let vs_code = desk.place(".vscode/mcp.json");
    let text = std::fs::read_to_string(&vs_code.path).unwrap();
    let remove = ["postgres".to_owned()];
    let after =
        changed(&Change { place: &vs_code, bridge: &bridge(), remove: &remove }, Some(&text)).unwrap();
    assert!(!after.contains("seed-db-password") && after.contains("\"browser\": {"), "{after}");
    let codex = desk.place(".codex/config.toml");
    let text = std::fs::read_to_string(&codex.path).unwrap();
    let remove = ["jira".to_owned(), "web search".to_owned()];
    let after = changed(&Change { place: &codex, bridge: &bridge(), remove: &remove }, Some(&text)).unwrap();
    assert!(!after.contains("JIRA_USER") && after.contains("[mcp_servers.old]"), "{after}");
    assert!(after.contains("notify = [\"say\", \"[mcp_servers.fake]\"]"), "{after}");
}

#[test]
fn what_cannot_be_changed_exactly_is_left_to_a_person() {
    let desk = Desk::new();
    let codex = desk.place(".codex/config.toml");
    let remove = ["a".to_owned()];
    let change = Change { place: &codex, bridge: &bridge(), remove: &remove };
    for text in [
        "mcp_servers = { a = { command = \"a\" } }\n",
        "[mcp_servers]\na.command = \"a\"\n",
        "text = \"\"\"\n[mcp_servers.a]\n\"\"\"\n[mcp_servers.a]\ncommand = \"a\"\n",
        "= broken",
    ] {
        assert!(matches!(changed(&change, Some(text)), Err(EditError::ByHand(_))), "{text}");
    }
    let json = desk.place(".mcp.json");
    let change = Change { place: &json, bridge: &bridge(), remove: &[] };
    for text in ["[]", "{\"mcpServers\": []}", "{"] {
        assert!(changed(&change, Some(text)).is_err(), "{text}");
    }
    for text in ["", "{}", "{\"a\": 1}", "{\"mcpServers\":{}}", "{\n\t\"b\": [1, 2,], // c\n}"] {
        assert!(changed(&change, Some(text)).unwrap().contains("\"sluicegate\""), "{text}");
    }
}

#[test]
fn a_replaced_file_keeps_its_mode_and_a_backup_with_the_same() {
    let desk = Desk::new();
    let place = desk.place(".cursor/mcp.json");
    let before = std::fs::read_to_string(&place.path).unwrap();
    std::fs::set_permissions(&place.path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let change = Change { place: &place, bridge: &bridge(), remove: &[] };
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let first = write(&change, &desk.folders).unwrap();
    let second = write(&change, &desk.folders).unwrap();
    let backup = first.backup.unwrap();
    assert_eq!(std::fs::read_to_string(&backup).unwrap(), before);
    assert_eq!((mode(&backup), mode(&place.path)), (0o640, 0o640));
    assert_ne!(second.backup, Some(backup));
    let left = std::fs::read_dir(place.path.parent().unwrap()).unwrap().count();
    assert_eq!(left, 3, "the file and its backups");
    let new = Place { path: desk.folders.home.join("new/mcp.json"), ..place.clone() };
    let written = write(&Change { place: &new, bridge: &bridge(), remove: &[] }, &desk.folders).unwrap();
    assert_eq!((written.backup, mode(&new.path)), (None, 0o600));
}

#[test]
fn a_link_in_a_project_is_not_followed_and_one_of_the_user_stays() {
    let desk = Desk::new();
    let mcp_json = desk.place(".mcp.json");
    let elsewhere = desk.folders.home.join("elsewhere.json");
    std::fs::rename(&mcp_json.path, &elsewhere).unwrap();
    symlink(&elsewhere, &mcp_json.path).unwrap();
    assert!(matches!(read(&mcp_json, &desk.folders), Err(FileError::Link(_))));
    let desktop = desk.place("claude_desktop_config.json");
    let dotfiles = desk.folders.home.join("dotfiles.json");
    std::fs::rename(&desktop.path, &dotfiles).unwrap();
    symlink(&dotfiles, &desktop.path).unwrap();
    write(&Change { place: &desktop, bridge: &bridge(), remove: &[] }, &desk.folders).unwrap();
    assert!(desktop.path.symlink_metadata().unwrap().is_symlink());
    assert!(std::fs::read_to_string(&dotfiles).unwrap().contains("--key-file"));
}

#[test]
fn a_broken_file_is_told_by_its_line_alone() {
    let desk = Desk::new();
    for (end, text) in
        [(".mcp.json", "{\n\"seed-secret\" \"x\"}"), (".codex/config.toml", "a = 1\nseed-secret = =\n")]
    {
        let place = desk.place(end);
        std::fs::write(&place.path, text).unwrap();
        let error = read(&place, &desk.folders).unwrap_err();
        let said = format!("{error} {error:?}");
        assert!(said.contains("line 2") && !said.contains("seed"), "{said}");
    }
    let place = desk.place(".cursor/mcp.json");
    std::fs::remove_file(&place.path).unwrap();
    std::fs::create_dir(&place.path).unwrap();
    assert!(matches!(read(&place, &desk.folders), Err(FileError::Unfit(_))));
}

#[test]
fn a_snippet_is_what_the_client_reads_and_holds_no_key() {
    let folders = Desk::new().folders;
    for client in Client::ALL {
        let place = client.places(&folders).pop().unwrap();
        for snippet in
            [Some(client.snippet(&bridge())), client.snippet_by_url("http://127.0.0.1:7400/mcp", "KEY")]
        {
            let Some(snippet) = snippet else { continue };
            let document = document::parse(client.format().syntax, &snippet).unwrap();
            let table = document::at(&document, &place.section[place.section.len() - 1..]).unwrap();
            let (servers, skipped) = server::read_all(table, client.format(), &folders);
            assert_eq!((servers.len(), skipped.len()), (1, 0), "{snippet}");
            assert!(servers[0].is_gateway(Some("http://127.0.0.1:7400/mcp")), "{snippet}");
        }
    }
}
