//! `guardrails`: files of Cedar policies that forbid, whatever the lists say.
//!
//! Must never pass over a file that was named: one that is not there, or of which anything is wrong, refuses the
//! configuration.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::code::Code;
use crate::config::node::Located;
use crate::model::glob::Glob;
use crate::model::place::Place;
use crate::policy::{GUARDRAILS_MAX, Guardrail};

use super::Scope;

/// Largest file of guardrails, in bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// Most files of guardrails.
const FILES_MAX: usize = 64;

/// Every guardrail of the files that were named, in the order of naming, and of their names.
pub(super) fn read(written: &[Located<String>], scope: Scope<'_>) -> Vec<Guardrail> {
    let mut guardrails = Vec::new();
    let files: Vec<_> = written.iter().flat_map(|pattern| files(pattern, scope)).collect();
    for (at, (path, named_at)) in files.iter().enumerate() {
        if at >= FILES_MAX {
            let message = format!("more than {FILES_MAX} files of guardrails");
            scope.found.error(Code::BadGuardrail, named_at, message, "unite some of them");
            break;
        }
        guardrails.extend(one(path, named_at, scope));
    }
    if let (true, Some(first)) = (guardrails.len() > GUARDRAILS_MAX, written.first()) {
        let message = format!("more than {GUARDRAILS_MAX} guardrails");
        scope.found.error(Code::BadGuardrail, &first.place, message, "unite some of them");
    }
    guardrails
}

/// The files that `written` names: `*` stands for any run of characters in the name of the file.
fn files<'a>(written: &'a Located<String>, scope: Scope<'_>) -> Vec<(PathBuf, &'a Place)> {
    let Located { value, place } = written;
    let path = scope.path(value);
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if !value.contains('*') {
        return vec![(path, place)];
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    let glob = Glob::new(name).filter(|_| !folder.to_string_lossy().contains('*'));
    let Some(glob) = glob else {
        let message = format!("`{value}` is no pattern of files");
        let help = "`*` may stand in the name of the file, and not in its folder";
        scope.found.error(Code::BadGuardrail, place, message, help);
        return Vec::new();
    };
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let is_meant = |path: &PathBuf| {
        path.file_name().and_then(|name| name.to_str()).is_some_and(|name| glob.matches(name))
    };
    let mut files: Vec<_> = entries.map(|entry| entry.path()).filter(is_meant).collect();
    files.sort();
    if files.is_empty() {
        let message = format!("`{value}` names no file");
        let help = format!("put one into `{}`, or remove the pattern", folder.display());
        scope.found.error(Code::BadGuardrail, place, message, help);
    }
    files.into_iter().map(|path| (path, place)).collect()
}

fn one(path: &Path, named_at: &Place, scope: Scope<'_>) -> Vec<Guardrail> {
    scope.found.note_file(path);
    let text = match read_text(path) {
        Ok(text) => text,
        Err(error) => {
            let message = format!("`{}` cannot be read: {error}", path.display());
            let help = "name a file that the gateway's user may read";
            scope.found.error(Code::BadGuardrail, named_at, message, help);
            return Vec::new();
        }
    };
    let shown = path.strip_prefix(scope.dir).unwrap_or(path);
    let file: Arc<str> = shown.display().to_string().into();
    let place = |offset: usize| place_in(&text, offset, &file);
    match Guardrail::read(&text, place) {
        Ok(guardrails) => guardrails,
        Err(errors) => {
            for error in errors {
                let help = "guardrails are Cedar policies that `forbid` (docs/POLICY.md)";
                scope.found.error(Code::BadGuardrail, &place(error.offset), error.message, help);
            }
            Vec::new()
        }
    }
}

fn read_text(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    let read = std::fs::File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    if u64::try_from(read).unwrap_or(u64::MAX) > FILE_BYTES_MAX {
        return Err(std::io::Error::other(format!("it is larger than {FILE_BYTES_MAX} bytes")));
    }
    Ok(text)
}

fn place_in(text: &str, offset: usize, file: &Arc<str>) -> Place {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    let number = |number| u32::try_from(number).unwrap_or(u32::MAX);
    Place { file: Arc::clone(file), line: number(line), column: number(column) }
}
