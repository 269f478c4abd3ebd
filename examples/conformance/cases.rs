//! Recorded cases, from files of JSON lines and from folders of examples.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

/// One recorded case.
#[derive(Deserialize)]
pub(crate) struct Case {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) category: String,
    pub(crate) input: Value,
    pub(crate) expected: Value,
    /// Folder that `body_file` is looked up in.
    #[serde(skip)]
    pub(crate) bodies: PathBuf,
}

/// Reads files of cases, and folders of such files.
pub(crate) fn read_cases(paths: &[PathBuf]) -> Result<Vec<Case>, String> {
    let (mut files, mut examples) = (Vec::new(), Vec::new());
    for path in paths {
        if path.is_dir() {
            let entries =
                std::fs::read_dir(path).map_err(|e| format!("{}: {e}", path.display()))?;
            let mut inside: Vec<PathBuf> = entries
                .filter_map(|entry| entry.ok().map(|entry| entry.path()))
                .filter(|file| file.extension().is_some_and(|ext| ext == "jsonl"))
                .collect();
            inside.sort();
            files.extend(inside);
            examples.extend(read_examples(&path.join("examples"))?);
        } else {
            files.push(path.clone());
        }
    }
    let mut cases = Vec::new();
    for file in files {
        let text =
            std::fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?;
        let bodies = file.parent().unwrap_or(Path::new(".")).join("bodies");
        for (number, line) in text.lines().enumerate() {
            let mut case: Case = serde_json::from_str(line)
                .map_err(|e| format!("{}:{}: {e}", file.display(), number + 1))?;
            case.bodies.clone_from(&bodies);
            cases.push(case);
        }
    }
    cases.append(&mut examples);
    Ok(cases)
}

/// Whole examples: a folder each, with manifests, a request, and what came of
/// it.
fn read_examples(folder: &Path) -> Result<Vec<Case>, String> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Ok(Vec::new());
    };
    let mut cases = Vec::new();
    for entry in entries {
        let path = entry
            .map_err(|e| format!("{}: {e}", folder.display()))?
            .path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let file = path.join("expected.json");
        let text =
            std::fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?;
        cases.push(Case {
            id: name.clone().into_owned(),
            kind: "example".into(),
            category: name.into_owned(),
            input: path.display().to_string().into(),
            expected: serde_json::from_str(&text)
                .map_err(|e| format!("{}: {e}", file.display()))?,
            bodies: PathBuf::new(),
        });
    }
    cases.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(cases)
}
