//! Every path that a file mentions, resolved as far as syntax goes.

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};

use crate::house_rules::tree::File;

/// A path that a file mentions.
pub enum Mention {
    /// From the root of this crate: `["audit", "Journal"]`.
    Ours { path: Vec<String>, line: usize },
    /// Anything else with more than one segment, or imported: `["std", "fs"]`.
    Foreign { path: Vec<String>, line: usize },
}

/// What `file` mentions outside of its tests.
pub fn mentions(file: &File) -> Vec<Mention> {
    let mut search = Search { module: file.module(), found: Vec::new() };
    search.visit_file(&file.syntax());
    search.found
}

struct Search {
    /// The module that is being read.
    module: Vec<String>,
    found: Vec<Mention>,
}

impl Search {
    fn path(&mut self, segments: &[String], line: usize) {
        let Some((first, rest)) = segments.split_first() else { return };
        let path = match first.as_str() {
            "crate" | "sluicegate" => rest.to_vec(),
            "self" => [&self.module, rest].concat(),
            "super" => {
                let supers = segments.iter().take_while(|segment| *segment == "super").count();
                let depth = self.module.len().saturating_sub(supers);
                [&self.module[..depth], &segments[supers..]].concat()
            }
            _ => {
                let path = segments.to_vec();
                return self.found.push(Mention::Foreign { path, line });
            }
        };
        // `use super::*` in a part of a room leads to the room, in the room itself to the crate.
        let path = if path == ["*"] { Vec::new() } else { path };
        self.found.push(Mention::Ours { path, line });
    }

    fn tree(&mut self, tree: &syn::UseTree, before: &[String]) {
        let leaf = |ident: &syn::Ident| match ident.to_string().as_str() {
            "self" if !before.is_empty() => before.to_vec(),
            name => [before, &[name.to_owned()]].concat(),
        };
        match tree {
            syn::UseTree::Path(path) => self.tree(&path.tree, &[before, &[path.ident.to_string()]].concat()),
            syn::UseTree::Name(name) => self.path(&leaf(&name.ident), name.ident.span().start().line),
            syn::UseTree::Rename(name) => self.path(&leaf(&name.ident), name.ident.span().start().line),
            syn::UseTree::Glob(glob) => {
                let line = glob.star_token.spans[0].start().line;
                self.path(&[before, &["*".to_owned()]].concat(), line);
            }
            syn::UseTree::Group(group) => group.items.iter().for_each(|tree| self.tree(tree, before)),
        }
    }

    /// Paths among tokens: `a :: b :: c`. A group after `::` inside a macro is seen by its own tokens only.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let (mut line, mut colons) = (0, 0);
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.end(&mut path, line);
                    }
                    line = ident.span().start().line;
                    path.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' && colons < 2 => colons += 1,
                TokenTree::Group(group) => {
                    self.end(&mut path, line);
                    self.tokens(group.stream());
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => {
                    self.end(&mut path, line);
                    colons = 0;
                }
            }
        }
        self.end(&mut path, line);
    }

    fn end(&mut self, path: &mut Vec<String>, line: usize) {
        if path.len() > 1 {
            self.path(path, line);
        }
        path.clear();
    }
}

impl<'ast> Visit<'ast> for Search {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if !is_test(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        self.module.push(module.ident.to_string());
        visit::visit_item_mod(self, module);
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.tree(&item.tree, &[]);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<_> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if let (true, Some(first)) = (segments.len() > 1, path.segments.first()) {
            self.path(&segments, first.ident.span().start().line);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.tokens(call.tokens.clone());
        visit::visit_macro(self, call);
    }

    // `pub(in crate::audit)` opens a thing to a room; it imports nothing.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}
}

fn attributes(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Const(item) => &item.attrs,
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Static(item) => &item.attrs,
        syn::Item::Struct(item) => &item.attrs,
        syn::Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        syn::Meta::List(list) => list.path.is_ident("cfg") && list.tokens.to_string() == "test",
        _ => false,
    })
}
