//! One image of an index: its manifest as the registry has it, and what the index says of it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use boxship_distribution::{Fetched, Remote};
use boxship_oci::descriptor::{DOCKER_INDEX, Kind, OCI_INDEX, OCI_MANIFEST, kind};
use boxship_oci::platform::Platform;
use boxship_oci::{Descriptor, Digest, Manifest, Reference};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::failed;
use crate::failure::{Failure, Result};

/// An image that an index lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Where it comes from.
    pub reference: Reference,
    /// What the index says of it.
    pub descriptor: Descriptor,
    /// Its manifest.
    pub bytes: Vec<u8>,
}

/// The stock client's file.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct File {
    #[serde(rename = "Ref")]
    reference: String,
    descriptor: Descriptor,
    raw: Option<String>,
}

impl Part {
    /// From the registry; the platform is that of the image's configuration unless the index knows better.
    pub async fn fetch(
        remote: &Remote,
        reference: Reference,
        fetched: Fetched,
        platform: Option<Platform>,
    ) -> Result<Part> {
        let mut descriptor = fetched.descriptor();
        if kind(&fetched.media_type) != Kind::Manifest {
            return Err(Failure::new(format!("{} is a manifest list", reference.canonical())));
        }
        let part = Part { reference, descriptor: descriptor.clone(), bytes: fetched.bytes };
        descriptor.platform = match platform {
            Some(platform) => Some(platform),
            None => {
                let config = remote.config(&part.manifest()?.config).await.map_err(failed)?;
                Some(
                    serde_json::from_slice(&config)
                        .map_err(|error| Failure::new(format!("read the image's configuration: {error}")))?,
                )
            }
        };
        Ok(Part { descriptor, ..part })
    }

    /// Its manifest.
    pub fn manifest(&self) -> Result<Manifest> {
        serde_json::from_slice(&self.bytes)
            .map_err(|error| Failure::new(format!("read manifest {}: {error}", self.descriptor.digest)))
    }

    /// From the stock client's file; `None` from one so old that it lacks the manifest itself.
    pub fn read(bytes: &[u8]) -> std::result::Result<Option<Part>, String> {
        let file: File = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        let Some(raw) = file.raw else { return Ok(None) };
        let bytes = STANDARD.decode(raw).map_err(|error| error.to_string())?;
        let found = Digest::compute(file.descriptor.digest.algorithm(), &bytes);
        if found != file.descriptor.digest {
            return Err(format!("image manifest digest mismatch ({} != {found})", file.descriptor.digest));
        }
        let reference = Reference::parse(&file.reference).map_err(|error| error.to_string())?;
        Ok(Some(Part { reference, descriptor: file.descriptor, bytes }))
    }

    /// As the stock client writes it.
    pub fn json(&self) -> Result<String> {
        #[derive(Serialize)]
        #[serde(rename_all = "PascalCase")]
        struct Written<'a> {
            #[serde(rename = "Ref")]
            reference: String,
            descriptor: &'a Descriptor,
            raw: String,
            #[serde(skip_serializing_if = "Option::is_none")]
            schema_v2_manifest: Option<&'a RawValue>,
            #[serde(rename = "OCIManifest", skip_serializing_if = "Option::is_none")]
            oci_manifest: Option<&'a RawValue>,
        }
        let wrong = |error: serde_json::Error| Failure::new(error.to_string());
        let manifest: &RawValue = serde_json::from_slice(&self.bytes).map_err(wrong)?;
        let oci = self.descriptor.media_type == OCI_MANIFEST;
        let written = Written {
            reference: self.reference.canonical(),
            descriptor: &self.descriptor,
            raw: STANDARD.encode(&self.bytes),
            schema_v2_manifest: (!oci).then_some(manifest),
            oci_manifest: oci.then_some(manifest),
        };
        serde_json::to_string(&written).map_err(wrong)
    }
}

/// The index that lists these images, byte for byte as the stock client writes it, and its media type.
pub fn index(target: &Reference, parts: &[Part]) -> Result<(&'static str, Vec<u8>)> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Entry<'a> {
        media_type: &'a str,
        size: u64,
        digest: &'a Digest,
        platform: Platform,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Index<'a> {
        schema_version: u32,
        media_type: &'a str,
        manifests: Vec<Entry<'a>>,
    }
    let mut manifests = Vec::new();
    for part in parts {
        if part.reference.domain() != target.domain() {
            return Err(Failure::new(format!(
                "cannot use source images from a different registry than the target image: {} != {}",
                part.reference.domain(),
                target.domain()
            )));
        }
        let Descriptor { media_type, size, digest, platform, .. } = &part.descriptor;
        let platform = platform.clone().unwrap_or_default();
        manifests.push(Entry { media_type, size: *size, digest, platform });
    }
    let oci = parts.first().is_some_and(|part| part.descriptor.media_type == OCI_MANIFEST);
    let media_type = if oci { OCI_INDEX } else { DOCKER_INDEX };
    let index = Index { schema_version: 2, media_type, manifests };
    let mut bytes = Vec::new();
    let spaces = serde_json::ser::PrettyFormatter::with_indent(b"   ");
    let written = index.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, spaces));
    written.map_err(|error| Failure::new(error.to_string()))?;
    Ok((media_type, bytes))
}

/// JSON on lines of its own, one tab a level; names, numbers and their order stay as they are.
pub fn indented(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let (mut depth, mut quoted, mut escaped) = (0usize, false, false);
    let mut chars = json.chars().peekable();
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n('\t', depth));
    };
    while let Some(char) = chars.next() {
        if quoted {
            out.push(char);
            quoted = escaped || char != '"';
            escaped = char == '\\' && !escaped;
            continue;
        }
        match char {
            '"' => {
                quoted = true;
                out.push(char);
            }
            ' ' | '\t' | '\r' | '\n' => {}
            '{' | '[' => {
                out.push(char);
                while chars.next_if(|char| char.is_ascii_whitespace()).is_some() {}
                if let Some(end) = chars.next_if(|char| matches!(char, '}' | ']')) {
                    out.push(end);
                } else {
                    depth += 1;
                    line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push(char);
            }
            ',' => {
                out.push(char);
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use boxship_oci::descriptor::{DOCKER_CONFIG, DOCKER_MANIFEST};

    use super::*;

    fn part(reference: &str) -> Part {
        let config = Descriptor::of(DOCKER_CONFIG, b"{}");
        let bytes = serde_json::to_vec(&Manifest::docker(config, Vec::new())).unwrap();
        let mut descriptor = Descriptor::of(DOCKER_MANIFEST, &bytes);
        descriptor.platform = Some(Platform::new("linux", "arm", Some("v7")));
        Part { reference: Reference::parse(reference).unwrap(), descriptor, bytes }
    }

    #[test]
    fn written_and_read_again() {
        let part = part("localhost:5000/a:1");
        let text = part.json().map_err(|f| f.message()).unwrap();
        assert!(text.starts_with("{\"Ref\":\"localhost:5000/a:1\",\"Descriptor\":{\"mediaType\":"), "{text}");
        assert!(text.contains("\"SchemaV2Manifest\":{\"schemaVersion\":2,"), "{text}");
        assert_eq!(Part::read(text.as_bytes()).unwrap().unwrap(), part);
        assert_eq!(Part::read(text.replace("\"Raw\"", "\"Old\"").as_bytes()).unwrap(), None);
        assert!(Part::read(text.replace("\"Raw\":\"", "\"Raw\":\"AAAA").as_bytes()).is_err());
        assert!(Part::read(b"{}").is_err());
    }

    #[test]
    fn indexes() {
        let target = Reference::parse("localhost:5000/b:all").unwrap();
        let part = part("localhost:5000/a:1");
        let (media_type, bytes) =
            index(&target, std::slice::from_ref(&part)).map_err(|f| f.message()).unwrap();
        assert_eq!(media_type, DOCKER_INDEX);
        let Descriptor { size, digest, .. } = &part.descriptor;
        assert_eq!(
            String::from_utf8(bytes).unwrap(),
            format!(
                "{{\n   \"schemaVersion\": 2,\n   \"mediaType\": \"{DOCKER_INDEX}\",\n   \"manifests\": [\n      {{\n\
                 {0}\"mediaType\": \"{DOCKER_MANIFEST}\",\n{0}\"size\": {size},\n{0}\"digest\": \"{digest}\",\n\
                 {0}\"platform\": {{\n{0}   \"architecture\": \"arm\",\n{0}   \"os\": \"linux\",\n{0}   \
                 \"variant\": \"v7\"\n{0}}}\n      }}\n   ]\n}}",
                "         "
            )
        );
        let elsewhere = Reference::parse("other.example/b").unwrap();
        let why = index(&elsewhere, &[part]).map_err(|failure| failure.message());
        let told = "cannot use source images from a different registry than the target image: localhost:5000 != \
                    other.example";
        assert_eq!(why.unwrap_err(), told);
    }

    #[test]
    fn indenting_keeps_what_is_quoted() {
        let text = "{\"a\":[1,2 , {}],\"b\\\"{\":\"x, y\",\"c\":[ ],\"d\":{\"e\":null}}";
        let wanted = "{\n\t\"a\": [\n\t\t1,\n\t\t2,\n\t\t{}\n\t],\n\t\"b\\\"{\": \"x, y\",\n\t\"c\": [],\n\t\"d\": {\n\t\t\
                      \"e\": null\n\t}\n}";
        assert_eq!(indented(text), wanted);
    }
}
