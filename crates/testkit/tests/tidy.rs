//! The house rules, held by tests: what review would otherwise have to repeat.
//!
//! Each module reads the working tree as text and answers with a list of broken rules, one readable line each.

#[path = "tidy/docs.rs"]
mod docs;
#[path = "tidy/floors.rs"]
mod floors;
#[path = "tidy/names.rs"]
mod names;
#[path = "tidy/text.rs"]
mod text;
#[path = "tidy/tree.rs"]
mod tree;

/// Fails with every broken rule, not only the first.
fn hold(rule: &str, broken: Vec<String>) {
    assert!(broken.is_empty(), "{rule}\n  {}\n", broken.join("\n  "));
}

#[test]
fn crates_import_only_lower_floors() {
    hold("a crate may import only crates of lower floors:", floors::climbing(&floors::crates()));
}

#[test]
fn architecture_shows_the_floors_as_they_are() {
    floors::compare_table(&floors::crates());
}

#[test]
fn every_crate_takes_the_lints_and_facts_of_the_workspace() {
    hold("a manifest leaves the workspace:", floors::loose_manifests(&floors::crates()));
}

#[test]
fn files_stay_small() {
    hold("files are too long, or an exception can shrink:", text::long_files(&tree::files()));
}

#[test]
fn nothing_unfinished_or_private_is_written() {
    hold("words that do not belong here:", text::forbidden_words(&tree::files()));
}

#[test]
fn every_unsafe_block_has_its_proof() {
    hold("unsafe without a `SAFETY:` comment above it:", text::unproven_unsafe(&tree::files()));
}

#[test]
fn each_foreign_library_has_one_home() {
    hold("a library is named outside its home:", names::strays(&tree::files()));
}

#[test]
fn only_the_edges_open_sockets() {
    hold("only network, rpc and node open sockets:", names::sockets(&tree::files()));
}

#[test]
fn the_root_is_quiet() {
    hold("names at the root or in bin/ beyond the agreed ones:", tree::strays());
}

#[test]
fn documents_name_paths_that_exist() {
    hold("a document names a path that is not there:", docs::missing_paths(&tree::files()));
}

#[test]
fn documents_name_make_targets_that_exist() {
    hold("a document names a make target that is not there:", docs::missing_targets(&tree::files()));
}
