//! Certificates and users as a whole configuration is told of them: what no repository can hold.

use super::*;

struct Files {
    dir: tempfile::TempDir,
}

impl Files {
    /// A certificate that is valid until the beginning of this day.
    fn until(year: i32, month: u8, day: u8) -> Self {
        let files = Self { dir: tempfile::tempdir().unwrap() };
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(year, month, day);
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let cert = params.self_signed(&key).unwrap().pem();
        files.write("cert.pem", &cert, 0o644);
        files.write("ca.pem", &cert, 0o644);
        files.write("key.pem", &key.serialize_pem(), 0o600);
        files
    }

    fn write(&self, name: &str, text: &str, mode: u32) {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    fn load(&self, text: &str) -> Result<Config, Problems> {
        self.load_as(text, Machine::this().uid)
    }

    fn load_as(&self, text: &str, uid: u32) -> Result<Config, Problems> {
        let path = self.dir.path().join("gateway.toml");
        std::fs::write(&path, text).unwrap();
        load_on(&path, &Machine { uid, ..machine() })
    }
}

const LISTEN: &str = r#"
    [listen.main]
    address = "0.0.0.0:7443"
    hosts = ["mcp.acme.example"]
    tls = { cert = "cert.pem", key = "key.pem", client_ca = "ca.pem" }
    [auth.clients.buildbot]
    san = "spiffe://acme/buildbot"
    vouches = { source = "chat", subject = "svc:build", roles = ["assistant"] }
    [upstreams.demo]
    command = ["sh"]
    returns = "chat"
    [sources.chat]
    allow = ["*"]
    [roles.assistant]
    allow = ["*"]
"#;

/// The codes of warnings and notes.
fn said(config: &Config) -> Vec<Code> {
    config.warnings.iter().map(|problem| problem.code).collect()
}

#[test]
fn a_listener_with_tls_may_stand_beyond_loopback_and_a_certificate_is_a_credential() {
    let files = Files::until(2030, 1, 1);
    let config = files.load(LISTEN).unwrap();
    let listener = config.listeners.first().unwrap();
    assert_eq!(listener.reach.tls.as_ref().unwrap().key, files.dir.path().join("key.pem"));
    assert_eq!(config.identity.clients.first().unwrap().principal.entry_point.as_str(), "clients.buildbot");
    assert_eq!(said(&config), [Code::SubjectRun, Code::SameUid]);
    // Nobody asks for the certificate, so nothing opens the listener.
    let unasked = files.load(&LISTEN.replace(", client_ca = \"ca.pem\"", "")).unwrap_err();
    assert_eq!(codes(&unasked), [Code::NoCredential]);
}

#[test]
fn a_certificate_that_ends_soon_is_said_and_one_that_has_ended_refused() {
    // The machine of these tests stands at the first of June 2026.
    assert!(said(&Files::until(2026, 6, 14).load(LISTEN).unwrap()).contains(&Code::CertificateExpires));
    assert!(!said(&Files::until(2026, 6, 16).load(LISTEN).unwrap()).contains(&Code::CertificateExpires));
    let ended = Files::until(2026, 5, 31).load(LISTEN).unwrap_err();
    assert_eq!(codes(&ended), [Code::BadCertificate]);
    assert!(ended.to_string().contains("gateway.toml:5:20: "), "it stands where it is named: {ended}");
}

#[test]
fn a_key_that_others_may_use_or_change_is_refused() {
    let files = Files::until(2030, 1, 1);
    let key = std::fs::read_to_string(files.dir.path().join("key.pem")).unwrap();
    for (mode, is_fine) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false), (0o620, false)] {
        files.write("key.pem", &key, mode);
        match files.load(LISTEN) {
            Ok(_) => assert!(is_fine, "{mode:o}"),
            Err(problems) => {
                assert!(!is_fine, "{mode:o}: {problems}");
                assert_eq!(codes(&problems), [Code::KeyFileOpen], "{mode:o}");
                assert!(problems.to_string().contains("gateway.toml:5:38: "), "{problems}");
            }
        }
    }
    files.write("key.pem", &key, 0o600);
    let own = Machine::this().uid;
    // As root one's own files are root's, and those may serve anybody.
    let of_another = files.load_as(LISTEN, own + 1);
    if own == 0 {
        assert!(of_another.is_ok());
        std::os::unix::fs::chown(files.dir.path().join("key.pem"), Some(4242), None).unwrap();
        assert_eq!(codes(&files.load_as(LISTEN, own).unwrap_err()), [Code::KeyFileOpen]);
    } else {
        assert_eq!(codes(&of_another.unwrap_err()), [Code::KeyFileOpen]);
    }
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let files = Files::until(2030, 1, 1);
    files.write("key.pem", &rcgen::KeyPair::generate().unwrap().serialize_pem(), 0o600);
    let problems = files.load(LISTEN).unwrap_err();
    assert_eq!(codes(&problems), [Code::BadCertificate]);
}

#[test]
fn a_tool_server_may_run_as_another_user_only_where_the_gateway_may_become_that_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("gateway.toml");
    let text = SMALL.replace("returns = \"chat\"", "returns = \"chat\"\n    user = \"mail-mcp\"");
    std::fs::write(&path, text).unwrap();
    let load = |switching| {
        let own = Machine::this().uid;
        load_on(&path, &Machine { uid: own, system: System { switching, ..system() }, ..machine() })
    };
    let enterable =
        |mode| std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(mode)).unwrap();
    enterable(0o700);
    assert!(said(&load(Switching::Allowed).unwrap()).contains(&Code::CwdShut));
    enterable(0o755);
    let config = load(Switching::Allowed).unwrap();
    assert!(!said(&config).contains(&Code::CwdShut));
    let upstream::Launch::Process { user, .. } = &config.upstreams.first().unwrap().launch else {
        panic!("a process")
    };
    assert_eq!(user.as_ref().map(|user| (user.uid, user.gid)), Some((1001, 1001)));
    assert!(!said(&config).contains(&Code::SameUid), "it no longer runs as the gateway");
    assert_eq!(codes(&load(Switching::Forbidden("of the test")).unwrap_err()), [Code::UserForbidden]);
}
