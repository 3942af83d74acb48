//! What other tools write is read, what we write they read: skopeo and GNU tar as the judges.

use std::fs;
use std::path::Path;
use std::process::Command;

use boxship_oci::Digest;

use super::{Yard, docker_archive, tar};

fn skopeo(arguments: &[&str]) {
    let output = Command::new("skopeo")
        .arg("--insecure-policy")
        .args(arguments)
        .output()
        .expect("skopeo is installed");
    assert!(output.status.success(), "skopeo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[test]
fn skopeo_and_we_understand_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let layers = [tar(&[("a", &[7; 100_000])]), tar(&[(".wh.a", b""), ("b", b"1")])];
    let yard = Yard::new();
    let loaded = yard.load(&docker_archive(&["app:1"], &[&layers[0], &layers[1]])).unwrap();
    let id = loaded[0].id.clone();
    let ours = dir.path().join("ours.tar");
    fs::write(&ours, yard.save(&["app:1"])).unwrap();
    let (docker, oci) = (format!("docker-archive:{}", text(&ours)), format!("oci-archive:{}", text(&ours)));
    for (number, (from, compression)) in
        [(&docker, "gzip"), (&docker, "zstd"), (&oci, "gzip"), (&oci, "zstd")].iter().enumerate()
    {
        let target = dir.path().join(format!("{number}.tar"));
        let to = format!("oci-archive:{}:again:{number}", text(&target));
        let options = ["--dest-compress", "--dest-compress-format", compression];
        skopeo(&[&["copy"], &options[..], &[from, &to]].concat());
        let again = Yard::new();
        let loaded = again.load(&fs::read(&target).unwrap()).unwrap();
        assert_eq!(loaded[0].names[0].familiar(), format!("again:{number}"));
        // skopeo writes the configuration anew, but the layers are the same.
        let image = again.store.images().get(&loaded[0].id).unwrap();
        let diff_ids: Vec<Digest> = image.layers.iter().map(|layer| layer.diff_id.clone()).collect();
        assert_eq!(diff_ids, layers.iter().map(Digest::of).collect::<Vec<_>>());
        assert!(image.layers[0].media_type.ends_with(compression), "{}", image.layers[0].media_type);
        // And what it wrote keeps its digests through us.
        let back = dir.path().join("back.tar");
        fs::write(&back, again.save(&[&format!("again:{number}")])).unwrap();
        let layout = dir.path().join(format!("layout{number}"));
        skopeo(&["copy", &format!("oci-archive:{}", text(&back)), &format!("dir:{}", text(&layout))]);
        let manifest = fs::read(layout.join("manifest.json")).unwrap();
        assert_eq!(Digest::of(manifest), image.manifest);
    }
    assert_eq!(yard.store.images().resolve("app:1").unwrap().id, id);
}
