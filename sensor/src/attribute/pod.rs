//! The pod a container belongs to, from the annotations of its spec.

use super::oci::ContainerSpec;

/// A pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Uid.
    pub uid: String,
}

/// Annotation names of one runtime.
struct Names {
    namespace: &'static str,
    name: &'static str,
    uid: &'static str,
    container: &'static str,
    image: &'static [&'static str],
}

/// containerd (pkg/cri/annotations) and CRI-O (pkg/annotations).
const RUNTIMES: [Names; 2] = [
    Names {
        namespace: "io.kubernetes.cri.sandbox-namespace",
        name: "io.kubernetes.cri.sandbox-name",
        uid: "io.kubernetes.cri.sandbox-uid",
        container: "io.kubernetes.cri.container-name",
        image: &["io.kubernetes.cri.image-name"],
    },
    Names {
        namespace: "io.kubernetes.pod.namespace",
        name: "io.kubernetes.pod.name",
        uid: "io.kubernetes.pod.uid",
        container: "io.kubernetes.container.name",
        image: &["io.kubernetes.cri-o.ImageName", "io.kubernetes.cri-o.Image"],
    },
];

impl Pod {
    /// The pod of a spec. Its uid may come from the cgroup path when an old containerd did not annotate it.
    pub fn of(spec: &ContainerSpec, uid_of_cgroup: Option<&str>) -> Option<Self> {
        RUNTIMES.iter().find_map(|names| {
            let name = spec.annotation(names.name)?;
            let uid = spec.annotation(names.uid).or(uid_of_cgroup).unwrap_or("");
            Some(Self {
                namespace: spec.annotation(names.namespace).unwrap_or("").to_owned(),
                name: name.to_owned(),
                uid: uid.to_owned(),
            })
        })
    }
}

/// The container's name in its pod; the pause container has none but is one.
pub fn container_name(spec: &ContainerSpec) -> Option<&str> {
    let named = RUNTIMES.iter().find_map(|names| spec.annotation(names.container));
    let is_sandbox = spec.annotation("io.kubernetes.cri.container-type") == Some("sandbox");
    named.or(is_sandbox.then_some("POD"))
}

/// The image's name.
pub fn image_name(spec: &ContainerSpec) -> Option<&str> {
    let mut names = RUNTIMES.iter().flat_map(|names| names.image);
    names.find_map(|name| spec.annotation(name))
}

/// The digest in an image's name, if it was pulled by digest.
pub fn image_digest(image: &str) -> Option<&str> {
    image.rsplit_once('@').map(|(_, digest)| digest).filter(|digest| digest.starts_with("sha256:"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn spec(annotations: serde_json::Value) -> ContainerSpec {
        ContainerSpec::of(&json!({ "annotations": annotations }))
    }

    #[test]
    fn containerds_annotations() {
        let spec = spec(json!({
            "io.kubernetes.cri.sandbox-name": "web-0", "io.kubernetes.cri.sandbox-namespace": "shop",
            "io.kubernetes.cri.sandbox-uid": "u-1", "io.kubernetes.cri.container-name": "app",
            "io.kubernetes.cri.image-name": "registry.example/app@sha256:abc"
        }));
        let pod = Pod { namespace: "shop".into(), name: "web-0".into(), uid: "u-1".into() };
        assert_eq!(Pod::of(&spec, Some("other")), Some(pod));
        assert_eq!(container_name(&spec), Some("app"));
        assert_eq!(image_name(&spec).and_then(image_digest), Some("sha256:abc"));
    }

    #[test]
    fn crios_annotations_and_the_uid_of_the_cgroup() {
        let spec = spec(json!({
            "io.kubernetes.pod.name": "web-0", "io.kubernetes.pod.namespace": "shop",
            "io.kubernetes.container.name": "app", "io.kubernetes.cri-o.ImageName": "app:1"
        }));
        assert_eq!(Pod::of(&spec, Some("u-2")).map(|pod| pod.uid), Some("u-2".into()));
        assert_eq!(image_name(&spec), Some("app:1"));
    }

    #[test]
    fn a_plain_container_has_no_pod_and_a_sandbox_has_a_name() {
        assert_eq!(Pod::of(&spec(json!({})), None), None);
        let sandbox = spec(json!({"io.kubernetes.cri.container-type": "sandbox"}));
        assert_eq!(container_name(&sandbox), Some("POD"));
    }
}
