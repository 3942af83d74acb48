//! Images from end to end in a store of their own: load, name, list, save, remove, prune.

use boxship_api::Filters;
use boxship_oci::Platform;
use futures_util::StreamExt;

use super::*;
use crate::container::configuration::Configuration;
use crate::container::handle::Container;
use crate::{Engine, EngineConfig, Kind};

/// An engine whose folders vanish with it.
struct House {
    engine: Engine,
    _folder: tempfile::TempDir,
}

async fn house() -> House {
    let folder = tempfile::tempdir().unwrap();
    // No registry can be reached.
    let hub = folder.path().join("certs.d/docker.io");
    std::fs::create_dir_all(&hub).unwrap();
    std::fs::write(hub.join("hosts.toml"), "server = \"http://127.0.0.1:1\"\n").unwrap();
    let config = EngineConfig {
        registry_folders: vec![folder.path().join("certs.d")],
        data_root: folder.path().join("data"),
        exec_root: folder.path().join("exec"),
        network: crate::network::NetworkConfig::detached(),
        ..EngineConfig::default()
    };
    House { engine: Engine::open(config).await.unwrap(), _folder: folder }
}

/// A root file system with one file.
fn root_archive(name: &str, content: &str) -> Vec<u8> {
    let mut header = [0u8; 512];
    header[..name.len()].copy_from_slice(name.as_bytes());
    header[100..107].copy_from_slice(b"0000644");
    header[108..115].copy_from_slice(b"0000000");
    header[116..123].copy_from_slice(b"0000000");
    header[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
    header[136..147].copy_from_slice(b"00000000000");
    header[156] = b'0';
    header[257..265].copy_from_slice(b"ustar\x0000");
    header[148..156].copy_from_slice(b"        ");
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut archive = header.to_vec();
    archive.extend_from_slice(content.as_bytes());
    archive.resize(archive.len().next_multiple_of(512) + 1024, 0);
    archive
}

impl House {
    async fn load(&self, archive: Vec<u8>) -> Vec<api::progress::ProgressMessage> {
        let input: Input = Box::pin(std::io::Cursor::new(archive));
        self.engine.image_load(input, true, None).await.unwrap().collect().await
    }

    async fn hello(&self) -> String {
        let told = self.load(boxship_image::hello::archive()).await;
        assert_eq!(told.last().unwrap().stream, "Loaded image: hello-world:latest\n", "{told:?}");
        self.engine.image_inspect("hello-world").await.unwrap().id
    }

    async fn import(&self, name: &str, content: &str) -> String {
        let options = ImageImportOptions {
            source: "-".into(),
            repo: name.into(),
            changes: vec!["LABEL made=here".into(), "CMD [\"/x\"]".into()],
            ..Default::default()
        };
        let input: Input = Box::pin(std::io::Cursor::new(root_archive("x", content)));
        let told: Vec<_> = self.engine.image_import(options, input).await.unwrap().collect().await;
        told[0].status.clone()
    }

    async fn names(&self, filters: &str) -> Vec<String> {
        let options = ImageListOptions { filters: Filters::parse(filters).unwrap(), ..Default::default() };
        let images = self.engine.image_list(options).await.unwrap();
        let mut names: Vec<String> = images
            .into_iter()
            .flat_map(
                |image| if image.repo_tags.is_empty() { vec!["<none>".into()] } else { image.repo_tags },
            )
            .collect();
        names.sort();
        names
    }

    async fn remove(&self, name: &str, force: bool) -> Result<Vec<String>> {
        let options = ImageRemoveOptions { force, no_prune: false };
        let done = self.engine.image_remove(name, options).await?;
        Ok(done
            .into_iter()
            .map(|item| if item.deleted.is_empty() { item.untagged } else { "deleted".into() })
            .collect())
    }

    fn add_stopped_container(&self, image: &str) {
        let configuration = Configuration {
            id: "c".repeat(64),
            name: "user".into(),
            image: image.into(),
            ..Configuration::default()
        };
        let registry = &self.engine.inner.registry;
        registry.reserve("user", &configuration.id).unwrap();
        registry.insert(Container::detached(configuration));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_loaded_named_and_told() {
    let house = house().await;
    let id = house.hello().await;
    assert_eq!(house.hello().await, id, "loading again changes nothing");
    house.engine.image_tag("hello-world", "localhost:5000/other", "1").await.unwrap();
    let image = house.engine.image_inspect(&id[7..19]).await.unwrap();
    assert_eq!(image.repo_tags, ["hello-world:latest", "localhost:5000/other:1"]);
    assert_eq!((image.os.as_str(), image.root_fs.layers.len()), ("linux", 1));
    assert_ne!(image.metadata.last_tag_time, api::timestamp::ZERO);
    let history = house.engine.image_history("hello-world").await.unwrap();
    assert_eq!(history.len(), 2);
    assert_eq!(history[0].id, id);
    assert_eq!(history[1].id, "<missing>");
    let missing = house.engine.image_inspect("nope").await.unwrap_err();
    assert_eq!(
        (missing.kind(), missing.to_string().as_str()),
        (Kind::NotFound, "No such image: nope:latest")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_is_filtered() {
    let house = house().await;
    house.hello().await;
    house.import("made:1", "one").await;
    house.import("made:1", "two").await;
    house.import("made:2", "three").await;
    for (filters, expect) in [
        ("", "<none> hello-world:latest made:1 made:2"),
        (r#"{"dangling":["true"]}"#, "<none>"),
        (r#"{"dangling":["false"]}"#, "hello-world:latest made:1 made:2"),
        (r#"{"reference":["made"]}"#, "made:1 made:2"),
        (r#"{"reference":["*:2","hello*"]}"#, "hello-world:latest made:2"),
        (r#"{"label":["made=here"],"dangling":["false"]}"#, "made:1 made:2"),
        (r#"{"label":["made=there"]}"#, ""),
        (r#"{"before":["made:1"],"reference":["hello-world"]}"#, "hello-world:latest"),
        (r#"{"since":["hello-world"],"reference":["made:2"]}"#, "made:2"),
        (r#"{"until":["2020-01-01"]}"#, ""),
    ] {
        assert_eq!(house.names(filters).await.join(" "), expect, "{filters}");
    }
    for (filters, message) in [
        (r#"{"what":["x"]}"#, "invalid filter 'what'"),
        (r#"{"dangling":["maybe"]}"#, "invalid filter 'dangling=[maybe]'"),
        (r#"{"before":["nope"]}"#, "No such image: nope:latest"),
        (r#"{"reference":["["]}"#, "syntax error in pattern"),
    ] {
        let options = ImageListOptions { filters: Filters::parse(filters).unwrap(), ..Default::default() };
        assert_eq!(house.engine.image_list(options).await.unwrap_err().to_string(), message);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn removal_takes_the_name_then_the_image() {
    let house = house().await;
    let id = house.hello().await;
    house.engine.image_tag("hello-world", "second", "").await.unwrap();
    let conflict = house.remove(&id[7..19], false).await.unwrap_err();
    assert_eq!(conflict.kind(), Kind::Conflict);
    assert_eq!(
        conflict.to_string(),
        format!(
            "conflict: unable to delete {} (must be forced) - image is referenced in multiple repositories",
            &id[7..19]
        )
    );
    assert_eq!(house.remove("second", false).await.unwrap(), ["second:latest"]);
    let done = house.remove("hello-world", false).await.unwrap();
    assert_eq!(done, ["hello-world:latest", "deleted", "deleted"]);
    assert_eq!(house.remove("hello-world", false).await.unwrap_err().kind(), Kind::NotFound);
    let id = house.hello().await;
    house.engine.image_tag("hello-world", "second", "").await.unwrap();
    let done = house.remove(&id, true).await.unwrap();
    assert_eq!(done, ["hello-world:latest", "second:latest", "deleted", "deleted"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_container_is_a_soft_conflict() {
    let house = house().await;
    let id = house.hello().await;
    house.add_stopped_container(&id);
    let short = &id[7..19];
    assert_eq!(
        house.remove("hello-world", false).await.unwrap_err().to_string(),
        format!(
            "conflict: unable to remove repository reference \"hello-world\" (must force) - container cccccccccccc \
             is using its referenced image {short}"
        )
    );
    assert_eq!(
        house.remove(&id, false).await.unwrap_err().to_string(),
        format!(
            "conflict: unable to delete {short} (must be forced) - image is being used by stopped container \
             cccccccccccc"
        )
    );
    let listed = house.engine.image_list(ImageListOptions::default()).await.unwrap();
    assert_eq!(listed[0].containers, 1);
    assert_eq!(house.remove(&id, true).await.unwrap()[0], "hello-world:latest");
}

#[tokio::test(flavor = "multi_thread")]
async fn prune_removes_what_has_no_name_or_all() {
    let house = house().await;
    house.hello().await;
    house.import("made:1", "one").await;
    house.import("made:1", "two").await;
    let report = house.engine.image_prune(&Filters::default()).await.unwrap();
    assert!(report.space_reclaimed > 0);
    assert_eq!(house.names("").await, ["hello-world:latest", "made:1"]);
    let filters = Filters::parse(r#"{"dangling":["false"],"label!":["made"]}"#).unwrap();
    house.engine.image_prune(&filters).await.unwrap();
    assert_eq!(house.names("").await, ["made:1"]);
    let nothing = house.engine.image_prune(&Filters::default()).await.unwrap();
    assert_eq!((nothing.images_deleted, nothing.space_reclaimed), (None, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn prune_leaves_all_names_of_an_image_in_use() {
    let house = house().await;
    let id = house.hello().await;
    house.engine.image_tag("hello-world", "second", "").await.unwrap();
    house.add_stopped_container(&id);
    let all = Filters::parse(r#"{"dangling":["false"]}"#).unwrap();
    assert_eq!(house.engine.image_prune(&all).await.unwrap().images_deleted, None);
    assert_eq!(house.names("").await, ["hello-world:latest", "second:latest"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_saved_can_be_loaded_elsewhere() {
    let (one, other) = (house().await, house().await);
    let id = one.hello().await;
    let bytes: Vec<_> = one.engine.image_save(vec!["hello-world".into()]).await.unwrap().collect().await;
    let archive: Vec<u8> = bytes.into_iter().flat_map(|chunk| chunk.unwrap().to_vec()).collect();
    other.load(archive).await;
    assert_eq!(other.engine.image_inspect("hello-world").await.unwrap().id, id);
    let missing = one.engine.image_save(vec!["nope".into()]).await.err().unwrap();
    assert_eq!(missing.kind(), Kind::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_archive_is_the_last_line() {
    let house = house().await;
    let told = house.load(b"this is no archive of images".to_vec()).await;
    let last = told.last().unwrap();
    assert!(!last.error.is_empty() && last.error_detail.is_some(), "{told:?}");
    assert!(house.names("").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_registry_only_the_built_in_image_can_be_pulled() {
    let house = house().await;
    let pull = |image: &str| {
        let options = ImagePullOptions { image: image.into(), ..Default::default() };
        let engine = house.engine.clone();
        async move { engine.image_pull(options).await }
    };
    let told: Vec<_> = pull("hello-world").await.unwrap().collect().await;
    assert!(told[1].status.contains("built into"), "{told:?}");
    assert!(house.engine.image_inspect("hello-world").await.is_ok());
    let error = pull("busybox").await.err().unwrap();
    assert_eq!(error.kind(), Kind::Internal);
    assert!(error.to_string().ends_with("dial tcp 127.0.0.1:1: connect: connection refused"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_of_a_prune_choose_no_given_up_fetches() {
    let house = house().await;
    let store = house.engine.store().clone();
    let lease = store.lease();
    let partial = store.partial(&boxship_oci::Digest::of("x"), 9000, &lease).unwrap();
    partial.append(0, &[7; 9000]).unwrap();
    drop((partial, lease));
    let prune = async |filters: &str| {
        house.engine.image_prune(&Filters::parse(filters).unwrap()).await.unwrap().space_reclaimed
    };
    assert_eq!(prune(r#"{"until":["24h"]}"#).await, 0);
    assert_eq!(prune(r#"{"label":["a"],"dangling":["false"]}"#).await, 0);
    assert!(prune(r#"{"dangling":["true"]}"#).await >= 9000);
    assert_eq!(store.usage().unwrap().partial, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_tells_platforms_when_asked() {
    let house = house().await;
    let id = house.hello().await;
    house.add_stopped_container(&id);
    let options = ImageListOptions { manifests: true, ..Default::default() };
    let listed = house.engine.image_list(options).await.unwrap();
    let [one] = &listed[0].manifests[..] else { panic!("{listed:?}") };
    assert_eq!((one.kind.as_str(), one.image_data.platform.os.as_str()), ("image", "linux"));
    assert_eq!(one.image_data.containers.len(), 1);
    assert!(one.size.content > 0 && one.size.total == one.size.content + one.image_data.size.unpacked);
    assert!(one.descriptor.size > 0 && one.descriptor.digest == one.id);
    assert_eq!(listed[0].size, one.size.total, "the tree's lines agree");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_is_asked_for_a_platform() {
    let house = house().await;
    for (architecture, part) in
        [(Platform::host().architecture.as_str(), "Loaded image"), ("none", "linux/none")]
    {
        let input: Input = Box::pin(std::io::Cursor::new(boxship_image::hello::archive()));
        let platform = Some(Platform::new("linux", architecture, None));
        let told: Vec<_> = house.engine.image_load(input, false, platform).await.unwrap().collect().await;
        let last = told.last().unwrap();
        assert!(format!("{}{}", last.stream, last.error).contains(part), "{told:?}");
        let bars = told.iter().filter(|message| message.progress_detail.is_some());
        assert!(bars.clone().all(|message| message.progress.starts_with('[')), "{told:?}");
    }
}
