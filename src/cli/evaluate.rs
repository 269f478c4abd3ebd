//! `tripline cel` and `tripline bind`: single expressions on a recorded
//! request.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::bind::{self, BindingParam, BodyView};
use crate::catalog::diagnostic::Severity;
use crate::catalog::files;
use crate::catalog::objects::Objects;
use crate::intercept::cel;
use crate::model::secret::NoSecrets;
use crate::verify;

use super::{fail, print, recorded, say};

/// Flags of `cel`.
#[derive(clap::Args)]
pub(super) struct CelArgs {
    /// The expression
    #[arg(short, long, value_name = "EXPR", required_unless_present = "file")]
    expression: Option<String>,
    /// A file that holds the expression
    #[arg(short, long, value_name = "FILE", conflicts_with = "expression")]
    file: Option<PathBuf>,
    /// The recorded request
    #[arg(short, long, value_name = "FILE.http")]
    request: PathBuf,
}

/// Flags of `bind`.
#[derive(clap::Args)]
pub(super) struct BindArgs {
    /// File of a TriggerBinding or ClusterTriggerBinding; may be given several
    /// times
    #[arg(short, long = "bindings", value_name = "FILE", required = true)]
    bindings: Vec<PathBuf>,
    /// The recorded request
    #[arg(short, long, value_name = "FILE.http")]
    request: PathBuf,
}

/// Prints the value of a CEL expression as JSON.
pub(super) fn cel(args: &CelArgs) -> ExitCode {
    report(evaluate_cel(args))
}

/// Prints the parameters that bindings give, sorted by name, as JSON.
pub(super) fn bind(args: &BindArgs) -> ExitCode {
    report(evaluate_bindings(args))
}

fn report(result: Result<Value>) -> ExitCode {
    match result {
        Ok(value) => {
            print(&format!("{value:#}\n"));
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error, 1),
    }
}

fn evaluate_cel(args: &CelArgs) -> Result<Value> {
    let source = match (&args.expression, &args.file) {
        (Some(source), _) => source.clone(),
        (None, Some(file)) => {
            std::fs::read_to_string(file).with_context(|| file.display().to_string())?
        }
        (None, None) => bail!("give an expression with -e, or a file with -f"),
    };
    let program = cel::compile(source.trim_end())?;
    let event = verify::recall(recorded::read(&args.request)?);
    let body = event
        .body()
        .map_err(|reason| anyhow::anyhow!("{}", reason.meaning()))?;
    let extensions = Map::new();
    let scope = cel::Scope {
        body,
        headers: event.headers(),
        extensions: &extensions,
        request_url: event.url(),
        secrets: &NoSecrets,
        namespace: "default",
    };
    Ok(program.evaluate(&scope)?)
}

fn evaluate_bindings(args: &BindArgs) -> Result<Value> {
    let files::ReadFiles {
        files,
        mut diagnostics,
        ..
    } = files::read(&args.bindings);
    let mut objects = Objects::default();
    for file in &files {
        diagnostics.extend(objects.read_file(&file.name, &file.text).diagnostics);
    }
    for diagnostic in &diagnostics {
        say(&diagnostic.to_string());
    }
    let mistakes = diagnostics.iter().any(|d| d.severity == Severity::Error);
    ensure!(!mistakes, "the bindings have mistakes");
    ensure!(
        !objects.bindings.is_empty(),
        "the files hold no TriggerBinding"
    );
    let params: Vec<BindingParam> = objects
        .bindings
        .values()
        .flat_map(|object| &object.value.spec.params)
        .map(|param| BindingParam {
            name: param.name.clone(),
            value: param.value.clone(),
        })
        .collect();
    let bindings = bind::compile(&params)?;
    let event = verify::recall(recorded::read(&args.request)?);
    let id = Uuid::now_v7().to_string();
    // What a trigger's bindings see: credentials are no part of it.
    let headers = verify::recordable(&event, &[]);
    let extensions = Map::new();
    let scope = bind::Scope {
        body: match event.body() {
            Ok(body) => BodyView::Json(body),
            Err(reason) => BodyView::Invalid(reason.meaning()),
        },
        headers: &headers,
        extensions: &extensions,
        event_id: &id,
    };
    let mut params = bind::bind(&bindings, &scope, &[])?;
    params.sort();
    Ok(serde_json::to_value(params)?)
}
