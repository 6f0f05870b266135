//! What is said when no cluster can be talked to.

use weft_source::kube::{Access, Cluster};

const GOOD: &str = "\
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: \"http://127.0.0.1:1\"}}]
users: [{name: u, user: {token: t}}]
contexts: [{name: x, context: {cluster: c, user: u, namespace: weft-system}}]
current-context: x
";

async fn connect(kubeconfig: Option<&str>, context: Option<&str>) -> Result<Cluster, String> {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("config");
    if let Some(text) = kubeconfig {
        std::fs::write(&path, text).expect("write the kubeconfig");
    }
    let access = Access {
        kubeconfig: Some(path),
        context: context.map(str::to_owned),
    };
    Cluster::connect(access)
        .await
        .map_err(|error| error.to_string())
}

#[tokio::test]
async fn a_kubeconfig_names_server_and_namespace() {
    let cluster = connect(Some(GOOD), None).await.expect("a good kubeconfig");
    assert_eq!(cluster.url(), "http://127.0.0.1:1/");
    assert_eq!(cluster.namespace(), "weft-system");
    let text = format!("{cluster:?}");
    assert!(!text.contains("token"), "no credentials in {text}");
}

#[tokio::test]
async fn errors_name_file_fault_and_cure() {
    let missing = GOOD.replace("cluster: c,", "cluster: other,");
    let no_server = GOOD.replace("server: \"http://127.0.0.1:1\"", "");
    let no_authority = GOOD.replace(
        "\"http://127.0.0.1:1\"",
        "\"https://127.0.0.1:1\", certificate-authority: /nowhere/ca.crt",
    );
    let cases: &[(&str, Option<&str>, Option<&str>, &str)] = &[
        ("no file", None, None, "No such file"),
        ("no YAML", Some("{"), None, "parse"),
        (
            "a context that is not there",
            Some(GOOD),
            Some("other"),
            "other",
        ),
        ("a cluster that is not there", Some(&missing), None, "other"),
        ("no server", Some(&no_server), None, "url is missing"),
        ("no authority", Some(&no_authority), None, "/nowhere/ca.crt"),
    ];
    for (name, kubeconfig, context, fault) in cases {
        let error = connect(*kubeconfig, *context).await.expect_err(name);
        for part in ["config cannot be used", "KUBECONFIG", fault] {
            assert!(
                error.contains(part),
                "{name}: {part:?} is missing in {error:?}"
            );
        }
    }
}
