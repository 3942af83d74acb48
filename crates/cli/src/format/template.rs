//! Go templates with Docker's functions, over JSON whose order is remembered for `{{json .}}`.
//!
//! Two traits of Go's templates are made here, for the template crate has them not: a field that isn't there is an
//! error with its place, and an absent object (`.State.Health`) is false in `if` and an error when one looks into it.
//! A key that a map hasn't (`.Config.Labels.x`) is no error.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use gotmpl::parse::{CommandNode, Expr, ListNode, Node};
use gotmpl::{MissingKey, Value};

use super::go_text;
use super::json::Json;

/// Lists, objects and nulls as JSON and as Go prints them, by the address of the value that stands for them. The
/// values are kept with it, so that an address means one thing.
#[derive(Default)]
struct Texts {
    by_address: HashMap<usize, Forms>,
    kept: Vec<Value>,
}

/// A value's texts.
struct Forms {
    json: String,
    printed: String,
    /// What `index` finds for a key that isn't there.
    lacking: Value,
}

/// The function that every action ends in, and the name of the whole template: both are out of a template's reach.
const PRINT: &str = "\u{0}print";
const ALL: &str = "\u{0}all";

/// Fields that are pointers in Docker's types: `null` is nothing there, and elsewhere an empty list.
const POINTERS: &[&str] = &[
    "Health",
    "Healthcheck",
    "Init",
    "StopTimeout",
    "OomKillDisable",
    "PidsLimit",
    "MemorySwappiness",
    "SizeRw",
    "SizeRootFs",
    "NetworkSettings",
    "ImageManifestDescriptor",
    "IPAMConfig",
    "HostConfig",
    "Config",
    "Server",
];

/// Maps of strings: `index` finds an empty one where there is nothing.
const TEXT_MAPS: &[&str] = &[
    "Annotations",
    "AuxiliaryAddresses",
    "Data",
    "DriverOpts",
    "Labels",
    "Options",
    "StorageOpt",
    "Sysctls",
    "Tmpfs",
];

/// Maps of pointers: there `index` finds none.
const POINTER_MAPS: &[&str] = &["Networks"];

/// A parsed template.
pub struct Template {
    source: String,
    /// Its name in errors: empty but for `version`.
    name: &'static str,
    /// What Go calls the type of the data, for errors; for data that is a map in Go, nothing.
    kind: Option<&'static str>,
    /// Whether a field that isn't there deeper in the data is an error, too.
    deep: bool,
}

impl Template {
    /// Keeps the template; `kind` is the name of Go's type of the data in errors, if it isn't a map.
    pub fn new(source: &str, kind: Option<&'static str>) -> Template {
        Template { source: labels_as_function(source), name: "", kind, deep: false }
    }

    /// Gives it the name that Docker gives it. What lies deeper in the data is of Docker's types, too.
    pub fn named(mut self, name: &'static str) -> Template {
        self.name = name;
        self.deep = true;
        self
    }

    /// Runs the template over `data`; the error has Docker's usual words before it.
    pub fn render(&self, data: &Json) -> Result<String, String> {
        self.run(data, false).map_err(|why| format!("template parsing error: {why}"))
    }

    /// The same with the bare error.
    pub fn execute(&self, data: &Json) -> Result<String, String> {
        self.run(data, false)
    }

    /// Runs the template over the headings of a table: functions leave headings as they are.
    pub fn render_headings(&self, data: &Json) -> String {
        self.run(data, true).unwrap_or_default()
    }

    fn run(&self, data: &Json, headings: bool) -> Result<String, String> {
        match self.attempt(data, headings, MissingKey::Error) {
            Err(gotmpl::TemplateError::MissingKey { key }) if self.may_lack(&key) => {
                self.attempt(data, headings, MissingKey::Invalid)
            }
            other => other,
        }
        .map_err(|error| self.explain(&error))
    }

    /// Whether a field is asked of a map, where Go doesn't mind that it is missing.
    fn may_lack(&self, key: &str) -> bool {
        match self.kind {
            // What is missing deeper in a type of Docker is missing in a map.
            Some(_) => !self.deep && self.is_nested(key),
            None => go_text::MAPS.iter().any(|map| self.find(&format!(".{map}.{key}")).is_some()),
        }
    }

    /// Whether a field is asked of something that is a field itself.
    fn is_nested(&self, key: &str) -> bool {
        let (_, _, expression) = self.place(key);
        expression.trim_start_matches('.').split('.').next() != Some(key)
    }

    fn attempt(&self, data: &Json, headings: bool, missing: MissingKey) -> gotmpl::Result<String> {
        let mut texts = Texts::default();
        let value = convert(data, "", &mut texts);
        let mut template = gotmpl::Template::new("").missing_key(missing);
        for (name, function) in functions(Arc::new(texts), headings) {
            template = template.func(name, function);
        }
        let template = template.parse(&self.source)?;
        if headings {
            return template.execute_to_string(&value);
        }
        self.printing(template)?.execute_template_to_string(ALL, &value)
    }

    /// Has all actions end in [`PRINT`].
    fn printing(&self, parsed: gotmpl::Template) -> gotmpl::Result<gotmpl::Template> {
        let names: Vec<String> = parsed.templates().into_iter().map(str::to_owned).collect();
        let (mut all, _) = gotmpl::parse::Parser::new(&self.source, "{{", "}}")?.parse()?;
        print_actions(&mut all);
        Ok(names.into_iter().fold(parsed.add_parse_tree(ALL, all), |parsed, name| {
            let Some(mut tree) = parsed.lookup(&name).cloned() else { return parsed };
            print_actions(&mut tree);
            parsed.add_parse_tree(&name, tree)
        }))
    }

    /// Go's words for a template that can't be parsed.
    fn syntax(&self, error: &gotmpl::TemplateError) -> String {
        let name = self.name;
        match error {
            gotmpl::TemplateError::Parse { line, message, .. }
            | gotmpl::TemplateError::Lex { line, message, .. } => {
                format!("template: {name}:{line}: {message}")
            }
            gotmpl::TemplateError::UndefinedFunction(function) => {
                format!("template: {name}:1: function {function:?} not defined")
            }
            other => format!("template: {name}:1: {other}"),
        }
    }

    /// Go's words for an error while running.
    fn explain(&self, error: &gotmpl::TemplateError) -> String {
        let (name, text) = (self.name, error.to_string());
        use gotmpl::TemplateError::{Lex, Parse, UndefinedFunction};
        if matches!(error, UndefinedFunction(_) | Lex { .. } | Parse { .. }) {
            return self.syntax(error);
        }
        let inside = text.split_once("can't evaluate field ").and_then(|(_, rest)| rest.split_once(' '));
        let (key, what) = match (error, inside) {
            (gotmpl::TemplateError::MissingKey { key }, _) => (key.clone(), self.no_field(key)),
            // Docker falls back to the bare JSON, in which the absent object isn't there at all.
            (_, Some((key, _))) => match self.absent_before(key) {
                Some(absent) => (absent.to_string(), self.no_field(absent)),
                None => (key.to_string(), format!("nil pointer evaluating interface {{}}.{key}")),
            },
            _ => {
                let why = text.trim_start_matches("execution error: ");
                return format!("template: {name}:1: executing {name:?}: {why}");
            }
        };
        let (line, column, expression) = self.place(&key);
        format!("template: {name}:{line}:{column}: executing {name:?} at <{expression}>: {what}")
    }

    fn no_field(&self, key: &str) -> String {
        match self.kind {
            Some(kind) => format!("can't evaluate field {key} in type {kind}"),
            None => format!("map has no entry for key {key:?}"),
        }
    }

    /// The object that isn't there, when `key` is asked of one.
    fn absent_before(&self, key: &str) -> Option<&'static str> {
        POINTERS.iter().copied().find(|absent| self.source.contains(&format!(".{absent}.{key}")))
    }

    /// The first place of these fields, whole.
    fn find(&self, fields: &str) -> Option<usize> {
        let goes_on = |letter: char| letter.is_alphanumeric() || letter == '_';
        let mut found = self.source.match_indices(fields).map(|(at, _)| at);
        found.find(|at| !self.source[at + fields.len()..].starts_with(goes_on))
    }

    /// Where a field is named: line, column and the whole expression.
    fn place(&self, key: &str) -> (usize, usize, String) {
        let name = format!(".{key}");
        let part = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '.';
        let Some(at) = self.find(&name) else { return (1, 0, name) };
        let begin = self.source[..at].rfind(|letter| !part(letter)).map_or(0, |before| before + 1);
        let end = self.source[at..].find(|letter| !part(letter)).map_or(self.source.len(), |end| at + end);
        let line = self.source[..begin].matches('\n').count() + 1;
        let column = begin - self.source[..begin].rfind('\n').map_or(0, |newline| newline + 1);
        // Go counts to the field that fails.
        (line, column + (at - begin), self.source[begin..end].to_string())
    }
}

fn print_actions(list: &mut ListNode) {
    for node in &mut list.nodes {
        match node {
            Node::Action(action) if action.pipe.decl.is_empty() => {
                let args = vec![Expr::Identifier(action.pos, PRINT.into())];
                action.pipe.commands.push(CommandNode { pos: action.pos, args });
            }
            Node::List(list) => print_actions(list),
            Node::If(branch) | Node::Range(branch) | Node::With(branch) => {
                print_actions(&mut branch.body);
                branch.else_body.iter_mut().for_each(print_actions);
            }
            _ => {}
        }
    }
}

/// `.Label "x"` is a method in Docker; here it is a function of the row.
fn labels_as_function(source: &str) -> String {
    source.replace(".Label \"", "label $ \"").replace(".Label `", "label $ `")
}

fn convert(json: &Json, name: &str, texts: &mut Texts) -> Value {
    let value = match json {
        Json::Null if POINTERS.contains(&name) => string(""),
        Json::Null if TEXT_MAPS.contains(&name) => Value::Map(Arc::default()),
        Json::Null => Value::List(Arc::from(Vec::new())),
        Json::Unwritten(value) => return convert(value, name, texts),
        Json::Bool(value) => return Value::Bool(*value),
        Json::Number(number) => {
            return match (number.as_i64(), number.as_u64()) {
                (Some(number), _) => Value::Int(number),
                (None, Some(number)) => Value::Uint(number),
                _ => Value::Float(number.as_f64().unwrap_or(0.0)),
            };
        }
        Json::Text(text) => return Value::String(Arc::from(text.as_str())),
        Json::List(items) => {
            Value::List(items.iter().map(|item| convert(item, "", texts)).collect::<Vec<_>>().into())
        }
        Json::Object(pairs) => {
            let pair = |(key, value): &(String, Json)| (Arc::from(key.as_str()), convert(value, key, texts));
            Value::Map(Arc::new(pairs.iter().map(pair).collect::<BTreeMap<Arc<str>, Value>>()))
        }
    };
    let printed = go_text::print(json, name, &|name| POINTERS.contains(&name));
    // A pointer that is null is the same under any pointer's name.
    let lacking = match name {
        name if TEXT_MAPS.contains(&name) => string(""),
        name if POINTER_MAPS.contains(&name) => convert(&Json::Null, POINTERS[0], texts),
        _ => Value::Nil,
    };
    texts.by_address.insert(address(&value), Forms { json: json.compact(false), printed, lacking });
    texts.kept.push(value.clone());
    value
}

fn address(value: &Value) -> usize {
    match value {
        Value::Map(map) => Arc::as_ptr(map) as usize,
        Value::List(items) => Arc::as_ptr(items).cast::<u8>() as usize,
        Value::String(text) => Arc::as_ptr(text).cast::<u8>() as usize,
        _ => 0,
    }
}

impl Texts {
    /// The value as JSON.
    fn json(&self, value: &Value) -> String {
        match self.by_address.get(&address(value)) {
            Some(forms) => forms.json.clone(),
            None => plain(value).compact(false),
        }
    }

    /// What lies in a list or a map at a place.
    fn at(&self, value: &Value, place: &Value) -> gotmpl::Result<Value> {
        let lacking = || self.by_address.get(&address(value)).map(|forms| forms.lacking.clone());
        match value.index(place)? {
            Value::Nil => Ok(lacking().unwrap_or(Value::Nil)),
            found => Ok(found),
        }
    }

    /// The value as Go prints it.
    fn printed(&self, value: &Value) -> Value {
        self.by_address.get(&address(value)).map_or_else(|| value.clone(), |forms| string(&forms.printed))
    }
}

/// A value that a template made itself.
fn plain(value: &Value) -> Json {
    match value {
        Value::Bool(value) => Json::Bool(*value),
        Value::Int(number) => Json::Number((*number).into()),
        Value::Uint(number) => Json::Number((*number).into()),
        Value::Float(number) => serde_json::Number::from_f64(*number).map_or(Json::Null, Json::Number),
        Value::String(text) => Json::Text(text.to_string()),
        Value::List(items) => Json::List(items.iter().map(plain).collect()),
        Value::Map(map) => {
            Json::Object(map.iter().map(|(key, value)| (key.to_string(), plain(value))).collect())
        }
        _ => Json::Null,
    }
}

type Function = Box<dyn Fn(&[Value]) -> gotmpl::Result<Value> + Send + Sync>;

/// The functions that Docker's templates have beside Go's own.
fn functions(texts: Arc<Texts>, headings: bool) -> Vec<(&'static str, Function)> {
    let on_text = |change: fn(&str) -> String| -> Function {
        Box::new(move |arguments| {
            let text = words(arguments, 0)?;
            Ok(string(if headings { text } else { change(&text) }))
        })
    };
    let same = || -> Function { Box::new(|arguments| Ok(arguments.first().cloned().unwrap_or(Value::Nil))) };
    let of = |function: Function| if headings { same() } else { function };
    let (printed, lines, places) = (texts.clone(), texts.clone(), texts.clone());
    vec![
        (
            PRINT,
            Box::new(move |arguments| {
                Ok(arguments.first().map_or(Value::Nil, |value| printed.printed(value)))
            }),
        ),
        (
            "println",
            Box::new(move |arguments| {
                let words: Vec<String> =
                    arguments.iter().map(|value| lines.printed(value).to_string()).collect();
                Ok(string(format!("{}\n", words.join(" "))))
            }),
        ),
        (
            "json",
            of(Box::new(move |arguments| {
                Ok(string(arguments.first().map_or("null".into(), |v| texts.json(v))))
            })),
        ),
        (
            "index",
            Box::new(move |arguments| {
                let no_value = || wrong("wrong number of args for index: want at least 1 got 0");
                let (value, at) = arguments.split_first().ok_or_else(no_value)?;
                at.iter().try_fold(value.clone(), |value, place| places.at(&value, place))
            }),
        ),
        ("split", of(Box::new(split))),
        ("join", of(Box::new(join))),
        ("title", on_text(title)),
        ("lower", on_text(|text| text.to_lowercase())),
        ("upper", on_text(|text| text.to_uppercase())),
        ("pad", Box::new(pad)),
        ("truncate", of(Box::new(truncate))),
        ("label", Box::new(move |arguments| label(arguments, headings))),
    ]
}

fn string(text: impl AsRef<str>) -> Value {
    Value::String(Arc::from(text.as_ref()))
}

fn wrong(text: impl Into<String>) -> gotmpl::TemplateError {
    gotmpl::TemplateError::Exec(text.into())
}

/// The argument at a place, which must be a string.
fn words(arguments: &[Value], at: usize) -> gotmpl::Result<String> {
    match arguments.get(at) {
        Some(Value::String(text)) => Ok(text.to_string()),
        Some(other) => {
            Err(wrong(format!("wrong type for value; expected string; got {}", other.type_name())))
        }
        None => Err(wrong("wrong number of args")),
    }
}

fn split(arguments: &[Value]) -> gotmpl::Result<Value> {
    let (text, by) = (words(arguments, 0)?, words(arguments, 1)?);
    let parts: Vec<Value> = if by.is_empty() {
        text.chars().map(|letter| string(letter.to_string())).collect()
    } else {
        text.split(by.as_str()).map(string).collect()
    };
    Ok(Value::List(Arc::from(parts)))
}

fn join(arguments: &[Value]) -> gotmpl::Result<Value> {
    let Some(Value::List(items)) = arguments.first() else {
        return Err(wrong("wrong type for value; expected []string"));
    };
    let parts: gotmpl::Result<Vec<String>> = (0..items.len()).map(|at| words(items, at)).collect();
    Ok(string(parts?.join(&words(arguments, 1)?)))
}

fn title(text: &str) -> String {
    let mut begins = true;
    let change = |letter: char| {
        let upper = begins && letter.is_alphabetic();
        begins = !(letter.is_alphanumeric() || letter == '_' || letter == '\'');
        if upper { letter.to_uppercase().collect::<String>() } else { letter.to_string() }
    };
    text.chars().map(change).collect()
}

fn pad(arguments: &[Value]) -> gotmpl::Result<Value> {
    let text = words(arguments, 0)?;
    let spaces = |at: usize| match arguments.get(at).and_then(Value::as_int) {
        Some(number) => Ok(" ".repeat(usize::try_from(number).unwrap_or(0).min(4096))),
        None => Err(wrong("wrong type for value; expected int")),
    };
    if text.is_empty() {
        return Ok(string(text));
    }
    Ok(string(format!("{}{text}{}", spaces(1)?, spaces(2)?)))
}

fn truncate(arguments: &[Value]) -> gotmpl::Result<Value> {
    let text = words(arguments, 0)?;
    let length = arguments
        .get(1)
        .and_then(Value::as_int)
        .ok_or_else(|| wrong("wrong type for value; expected int"))?;
    let mut end = usize::try_from(length).unwrap_or(0).min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    Ok(string(&text[..end]))
}

/// The label of a row, or as a heading the last part of its name.
fn label(arguments: &[Value], headings: bool) -> gotmpl::Result<Value> {
    let name = words(arguments, 1)?;
    if headings {
        let last = name.rsplit('.').next().unwrap_or_default();
        return Ok(string(last.replace(['-', '_'], " ")));
    }
    let labels = arguments.first().and_then(|row| row.field(super::LABELS));
    let found = labels.and_then(|labels| labels.field(&name)).cloned();
    Ok(found.unwrap_or_else(|| string("")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(template: &str) -> Result<String, String> {
        let data = r#"{"Name":"/x","State":{"Status":"running","Pid":7,"Health":null},"Args":["a","b"],"Binds":null,
                       "Env":[],"Big":18446744073709551615,"Labels":{"b":"2","a":"1"},"Options":null,"Networks":{"b":{"ID":"1"}},
                       "Ports":{},"Policy":{"Name":"no","MaximumRetryCount":0}}"#;
        Template::new(template, None).render(&serde_json::from_str(data).unwrap())
    }

    #[test]
    fn templates_give_what_docker_gives() {
        for (template, expected) in [
            ("{{.Name}} {{.State.Pid}}", "/x 7"),
            ("{{json .State}}", r#"{"Status":"running","Pid":7,"Health":null}"#),
            ("{{json .Args}}{{json .Binds}}{{json .Name}}{{json .State.Health}}", r#"["a","b"]null"/x"null"#),
            ("{{.Args}} {{.Binds}} {{len .Binds}}", "[a b] [] 0"),
            ("{{join .Args \",\"}} {{upper .Name}} {{title \"a b\"}} {{truncate .Name 1}}", "a,b /X A B /"),
            ("{{if .State.Health}}yes{{else}}no{{end}}", "no"),
            ("{{range $k, $v := .Labels}}{{$k}}={{$v}};{{end}}", "a=1;b=2;"),
            ("{{index .Labels \"a\"}} {{index .Args 1}}", "1 b"),
            ("[{{index .Labels \"zz\"}}] [{{index .Options \"zz\"}}]", "[] []"),
            ("{{index .Networks \"zz\"}} {{json (index .Networks \"zz\")}}", "<nil> null"),
            ("{{if index .Networks \"zz\"}}yes{{else}}no{{end}}", "no"),
            ("{{index .Ports \"80/tcp\"}} {{(index .Networks \"b\").ID}}", "<no value> 1"),
            ("{{range .Args}}{{println .}}{{end}}", "a\nb\n"),
            ("{{pad .Name 1 2}}|{{.Big}}", " /x  |18446744073709551615"),
            ("{{index (split \"a:b\" \":\") 1}}", "b"),
            ("{{.State}} {{with .Policy}}{{.}}{{end}}", "map[Health:<nil> Pid:7 Status:running] {no 0}"),
            (
                "{{println .Policy 1}}{{$p := .Policy}}{{if $p}}{{$p | json}}{{end}}",
                "{no 0} 1\n{\"Name\":\"no\",\"MaximumRetryCount\":0}",
            ),
            (
                "{{define \"p\"}}{{.Policy}}{{end}}{{template \"p\" .}}{{block \"q\" .}}{{.Policy}}{{end}}",
                "{no 0}{no 0}",
            ),
        ] {
            assert_eq!(render(template).as_deref(), Ok(expected), "{template}");
        }
    }

    #[test]
    fn a_map_within_a_type_may_lack_a_key() {
        let data = serde_json::from_str(r#"{"Actor":{"Attributes":{}}}"#).unwrap();
        let template = |text: &str| Template::new(text, Some("*events.Message")).render(&data);
        assert_eq!(template("{{.Actor.Attributes.name}}").unwrap(), "<no value>");
        assert!(
            template("{{.Nope}}").unwrap_err().contains("can't evaluate field Nope in type *events.Message")
        );
    }

    #[test]
    fn what_is_inspected_has_maps_that_may_lack_a_key() {
        for (template, expected) in [
            ("{{.Labels.zz}} {{.Labels.a}}", "<no value> 1"),
            ("{{.Name}} {{.Labels.Name}}", "/x <no value>"),
            ("{{with .Labels.zz}}yes{{else}}no{{end}}", "no"),
            ("{{.Labels.zz.deeper}}", "<no value>"),
        ] {
            assert_eq!(render(template).as_deref(), Ok(expected), "{template}");
        }
        assert!(render("{{.Policy.zz}}").is_err() && render("{{.Labels.a}}{{.zz}}").is_err());
    }

    #[test]
    fn errors_have_gos_words() {
        for (template, expected) in [
            ("{{.Nope}}", "template: :1:2: executing \"\" at <.Nope>: map has no entry for key \"Nope\""),
            ("{{.Nope.X}}", "template: :1:2: executing \"\" at <.Nope.X>: map has no entry for key \"Nope\""),
            (
                "{{.State.Nope}}",
                "template: :1:8: executing \"\" at <.State.Nope>: map has no entry for key \"Nope\"",
            ),
        ] {
            assert_eq!(
                render(template).unwrap_err(),
                format!("template parsing error: {expected}"),
                "{template}"
            );
        }
        let why =
            "template: :1:8: executing \"\" at <.State.Health.Status>: map has no entry for key \"Health\"";
        assert_eq!(render("{{.State.Health.Status}}").unwrap_err(), format!("template parsing error: {why}"));
        assert_eq!(render("{{.Name").unwrap_err(), "template parsing error: template: :1: unclosed action");
        assert!(render("{{.Name").is_err() && render("{{nope .}}").is_err());
    }
}
