//! The published requests and responses, asked of the methods in this process.

mod common;

use common::{finalize, served};
use serde_json::Value;
use starling_rpc::{Namespace, engine_module, module};
use starling_testkit::fixtures;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_the_published_ones() {
    let Some((chain, context)) = served() else { return };
    finalize(&context).await;
    let methods = module(context, &Namespace::ALL);
    let mut checked = 0;
    for file in files(&fixtures::find("rpc-compat").expect("it was read before")) {
        let text = std::fs::read_to_string(&file).expect("a case");
        if text.contains("// speconly:") {
            continue;
        }
        let method = file.parent().and_then(Path::file_name).expect("a folder").to_string_lossy().into_owned();
        if methods.method(&method).is_none() {
            continue;
        }
        let lines = text.lines();
        let (requests, responses): (Vec<_>, Vec<_>) =
            lines.filter(|line| line.starts_with(['>', '<'])).partition(|line| line.starts_with('>'));
        for (request, response) in requests.iter().zip(responses) {
            let (answer, _) = methods.raw_json_request(request[2..].trim(), 1).await.expect("JSON");
            assert_eq!(plain(answer.get()), plain(&response[2..]), "{}", file.display());
            checked += 1;
        }
    }
    assert!(checked > 70, "only {checked} cases were found");
    tokio::task::spawn_blocking(|| chain.stop()).await.expect("the chain stops");
}

/// The document names every method that is served, and no other.
#[test]
fn the_document_lists_what_is_served() {
    let Some((_chain, context)) = served() else { return };
    let document = std::fs::read_to_string(fixtures::repository().join("docs/JSON-RPC.md")).expect("the document");
    let table =
        document.lines().skip_while(|line| *line != "## Methods").skip(1).take_while(|line| !line.starts_with('#'));
    let mut listed = BTreeSet::new();
    for row in table.filter(|line| line.starts_with("| `")) {
        let names: Vec<_> = row.split('`').skip(1).step_by(2).collect();
        listed.extend(names[1..].iter().map(|name| format!("{}_{name}", names[0])));
    }
    let (all, engine) = (module(context.clone(), &Namespace::ALL), engine_module(context));
    let served: BTreeSet<_> = all.method_names().chain(engine.method_names()).map(str::to_owned).collect();
    assert_eq!(listed, served);
}

/// A response as it is compared: without the error's words, numbers as numbers.
fn plain(json: &str) -> Value {
    let mut value: Value = serde_json::from_str(json).expect("JSON");
    if let Some(error) = value.get_mut("error").and_then(Value::as_object_mut) {
        error.remove("message");
    }
    numbers(value)
}

fn numbers(value: Value) -> Value {
    match value {
        Value::Number(number) => number.as_f64().into(),
        Value::Array(list) => list.into_iter().map(numbers).collect(),
        Value::Object(members) => members.into_iter().map(|(name, value)| (name, numbers(value))).collect(),
        other => other,
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries =
        |folder: &Path| std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let folders = entries(folder).filter(|path| path.is_dir());
    folders.flat_map(|folder| entries(&folder).collect::<Vec<_>>()).filter(|path| path.extension().is_some()).collect()
}
