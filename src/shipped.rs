//! The catalogue that ships: bindings, templates and the quickstart, inside
//! the binary, so that it runs in any folder.

use rust_embed::Embed;

use crate::catalog::SourceFile;

#[derive(Embed)]
#[folder = "bindings/"]
#[include = "*.yaml"]
struct Bindings;

#[derive(Embed)]
#[folder = "templates/"]
#[include = "*.yaml"]
struct Templates;

#[derive(Embed)]
#[folder = "deploy/quickstart/"]
#[include = "*.yaml"]
#[include = "requests/*.http"]
struct Quickstart;

/// The YAML of the quickstart, with the bindings and templates that it uses.
pub fn triggers() -> Vec<SourceFile> {
    let mut files = yaml::<Bindings>("bindings");
    files.extend(yaml::<Templates>("templates"));
    files.extend(yaml::<Quickstart>("deploy/quickstart"));
    files
}

/// The requests of the quickstart, by name, in order.
pub fn requests() -> Vec<(String, Vec<u8>)> {
    let mut requests: Vec<(String, Vec<u8>)> = Quickstart::iter()
        .filter(|path| path.ends_with(".http"))
        .filter_map(|path| {
            let file = Quickstart::get(&path)?;
            let name = path.strip_prefix("requests/")?.strip_suffix(".http")?;
            Some((name.to_owned(), file.data.into_owned()))
        })
        .collect();
    requests.sort();
    requests
}

fn yaml<E: Embed>(folder: &str) -> Vec<SourceFile> {
    let mut files: Vec<SourceFile> = E::iter()
        .filter(|path| path.ends_with(".yaml"))
        .filter_map(|path| {
            Some(SourceFile {
                name: format!("{folder}/{path}"),
                text: String::from_utf8(E::get(&path)?.data.into_owned()).ok()?,
            })
        })
        .collect();
    files.sort_by(|a, b| a.name.cmp(&b.name));
    files
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Loader;

    #[test]
    fn what_ships_loads_without_a_mistake() {
        let loaded = Loader::default().load(&triggers().into());
        let shown: Vec<String> = loaded.diagnostics.iter().map(ToString::to_string).collect();
        assert_eq!(shown, Vec::<String>::new());
        assert_eq!(loaded.snapshot.listeners().count(), 5);
    }

    #[test]
    fn there_is_a_request_for_each_sender() {
        let names: Vec<String> = requests().into_iter().map(|(name, _)| name).collect();
        assert_eq!(
            names,
            ["github-push", "gitlab-merge-request", "harbor-push"]
        );
    }
}
