//! What stands on items: exceptions to lints, and signatures that a caller cannot read.

use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use super::assert_finds;
use super::tree::File;

/// An exception is `#[expect(lint, reason = "…")]`: it says why it may stand, and fails once it is not needed.
pub fn exceptions(file: &File) -> Vec<String> {
    struct Search<'a>(&'a File, Vec<String>);
    impl<'ast> Visit<'ast> for Search<'_> {
        fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
            let finding = match &attribute.meta {
                syn::Meta::List(list) if list.path.is_ident("allow") => {
                    "use `#[expect(lint, reason = \"…\")]`"
                }
                syn::Meta::List(list)
                    if list.path.is_ident("expect") && !list.tokens.to_string().contains("reason =") =>
                {
                    "say the invariant that makes this right: `reason = \"…\"`"
                }
                _ => return,
            };
            self.1.push(self.0.at(attribute.span().start().line, finding));
        }
    }
    let mut search = Search(file, Vec::new());
    search.visit_file(&file.syntax());
    search.1
}

/// `f(true)` tells the reader of a call nothing; an enum does.
pub fn booleans(file: &File) -> Vec<String> {
    struct Search<'a>(&'a File, Vec<String>);
    impl<'ast> Visit<'ast> for Search<'_> {
        fn visit_signature(&mut self, signature: &'ast syn::Signature) {
            for input in &signature.inputs {
                let syn::FnArg::Typed(argument) = input else { continue };
                if matches!(&*argument.ty, syn::Type::Path(ty) if ty.path.is_ident("bool")) {
                    let what = format!("`{}` takes a `bool`: make it an enum", signature.ident);
                    self.1.push(self.0.at(signature.span().start().line, what));
                }
            }
            visit::visit_signature(self, signature);
        }

        // A trait of another crate has the signature that it has.
        fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
            if item.trait_.is_none() {
                visit::visit_item_impl(self, item);
            }
        }
    }
    let mut search = Search(file, Vec::new());
    search.visit_file(&file.syntax());
    search.1
}

#[test]
fn an_exception_without_a_reason_is_found() {
    assert_finds(exceptions, "src/a.rs", "#[allow(dead_code)] fn f() {}", "use `#[expect");
    assert_finds(exceptions, "src/a.rs", "fn f() { #[expect(dead_code)] fn g() {} }", "say the invariant");
    let good = File::new("src/a.rs", "#[expect(dead_code, reason = \"the next issue uses it\")] fn f() {}");
    assert!(exceptions(&good).is_empty());
}

#[test]
fn a_boolean_argument_is_found() {
    assert_finds(booleans, "src/a.rs", "fn start(now: bool) {}", "`start` takes a `bool`");
    assert_finds(booleans, "src/a.rs", "impl A { fn start(&self, now: bool) {} }", "`start` takes a `bool`");
    assert!(booleans(&File::new("src/a.rs", "fn on(state: &State) -> bool { true }")).is_empty());
}
