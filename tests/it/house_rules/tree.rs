//! The files that the rules look at.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// One text file of the repository.
pub struct File {
    /// Relative to the repository, with `/`.
    pub path: String,
    pub text: String,
}

impl File {
    pub fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    pub fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Whether the file is part of the product: tests and benchmarks may import what they drive.
    pub fn is_product(&self) -> bool {
        self.path.starts_with("src/") && !self.module().iter().any(|part| part == "tests")
    }

    /// The module that a file of `src` is: `src/audit/chain.rs` is `["audit", "chain"]`.
    pub fn module(&self) -> Vec<String> {
        let path = self.path.strip_prefix("src/").unwrap_or(&self.path);
        match path.strip_suffix(".rs").unwrap_or(path) {
            "lib" => Vec::new(),
            path => path.split('/').map(str::to_owned).collect(),
        }
    }

    #[track_caller]
    pub fn syntax(&self) -> syn::File {
        syn::parse_file(&self.text).unwrap_or_else(|error| panic!("{}: {error}", self.path))
    }

    /// A finding at a line of this file.
    pub fn at(&self, line: usize, finding: impl std::fmt::Display) -> String {
        format!("{}:{line}: {finding}", self.path)
    }
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every text file that is not ignored, in the order of their paths.
pub fn files() -> Vec<File> {
    let ignored = std::fs::read_to_string(root().join(".gitignore")).unwrap();
    let ignored: BTreeSet<PathBuf> = ignored
        .lines()
        .map(|line| root().join(line.trim_matches('/')))
        .chain([root().join(".git")])
        .collect();
    let mut out = Vec::new();
    let mut waiting = vec![root().to_owned()];
    while let Some(dir) = waiting.pop() {
        for entry in std::fs::read_dir(&dir).unwrap() {
            let entry = entry.unwrap();
            let (path, kind) = (entry.path(), entry.file_type().unwrap());
            if ignored.contains(&path) || path.ends_with("target") {
                continue;
            }
            if kind.is_dir() {
                waiting.push(path);
            } else if kind.is_file()
                && let Ok(text) = std::fs::read_to_string(&path)
            {
                let path = path.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/");
                out.push(File { path, text });
            }
        }
    }
    out.sort_by(|a, b| a.path.cmp(&b.path));
    out
}

/// Rust files below `src` and `tests/it` that no `mod` names: nobody compiles them, so nothing checks them.
pub fn dead(files: &[File]) -> Vec<String> {
    let find = |path: &str| files.iter().find(|file| file.path == path);
    let roots = ["src/lib.rs", "src/main.rs", "tests/it/main.rs"];
    let mut live = BTreeSet::new();
    let mut waiting: Vec<String> = roots.iter().map(|&root| root.to_owned()).collect();
    while let Some(path) = waiting.pop() {
        let Some(file) = find(&path) else { continue };
        let folder = match path.rsplit_once('/') {
            Some((folder, _)) if roots.contains(&path.as_str()) => folder.to_owned(),
            _ => path.trim_end_matches(".rs").to_owned(),
        };
        live.insert(path);
        modules(&file.syntax().items, &folder, &mut waiting);
    }
    let lives = |file: &&File| !live.contains(&file.path);
    let homes = |file: &&File| file.path.starts_with("src/") || file.path.starts_with("tests/it/");
    files
        .iter()
        .filter(|file| file.is_rust())
        .filter(homes)
        .filter(lives)
        .map(|file| file.at(1, "no `mod` names this file, so it is never compiled; delete it or name it"))
        .collect()
}

fn modules(items: &[syn::Item], folder: &str, out: &mut Vec<String>) {
    for item in items {
        let syn::Item::Mod(module) = item else { continue };
        match &module.content {
            Some((_, items)) => modules(items, &format!("{folder}/{}", module.ident), out),
            None => out.push(format!("{folder}/{}.rs", module.ident)),
        }
    }
}

#[test]
fn a_file_that_no_mod_names_is_found() {
    let files = [
        File::new("src/lib.rs", "mod a; mod c { mod d; }"),
        File::new("src/a.rs", "#[cfg(test)] mod tests;"),
        File::new("src/a/tests.rs", ""),
        File::new("src/a/forgotten.rs", ""),
        File::new("src/c/d.rs", ""),
    ];
    let found = dead(&files);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("src/a/forgotten.rs:1:"));
}
