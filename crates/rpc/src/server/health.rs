use crate::NodeStatus;
use http::StatusCode;

/// What a GET on a server's port answers: status and text. None: the path is not ours.
///
/// `/` and `/livez` say that the process serves; `/readyz` whether it is of use, with the reasons if not.
pub(super) fn answer(path: &str, status: impl FnOnce() -> NodeStatus) -> Option<(StatusCode, String)> {
    match path {
        "/" => Some((StatusCode::OK, String::new())),
        "/livez" => Some((StatusCode::OK, "ok\n".into())),
        "/readyz" => Some(readiness(&status())),
        _ => None,
    }
}

fn readiness(status: &NodeStatus) -> (StatusCode, String) {
    if status.not_ready.is_empty() {
        return (StatusCode::OK, "ok\n".into());
    }
    (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {}\n", status.not_ready.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, not_ready: &[&str], expect: Option<(u16, &str)>) {
        let status =
            || NodeStatus { not_ready: not_ready.iter().map(|&why| why.into()).collect(), ..Default::default() };
        let answer = answer(path, status);
        assert_eq!(answer.as_ref().map(|(code, text)| (code.as_u16(), text.as_str())), expect, "{path}");
    }

    #[test]
    fn paths() {
        check("/", &["x"], Some((200, "")));
        check("/livez", &["x"], Some((200, "ok\n")));
        check("/readyz", &[], Some((200, "ok\n")));
        check("/readyz", &["no disk", "no clock"], Some((503, "not ready: no disk; no clock\n")));
        check("/metrics", &[], None);
    }
}
