//! Routes that could be taken for one another.

use alloc::format;
use alloc::string::String;

use super::decode::{Context, Located};
use super::sections::RouteSection;

/// Routes must have names of their own, and no two may match the same requests.
pub(super) fn refuse(routes: &[Located<RouteSection>], context: &mut Context<'_>) {
    for (at, Located { value: route, .. }) in routes.iter().enumerate() {
        let earlier = routes[..at].iter().map(|earlier| &earlier.value);
        if earlier.clone().any(|earlier| earlier.name.value.0 == route.name.value.0) {
            let message = format!("the route name `{}` is taken", route.name.value.0);
            context.report(route.name.span.clone(), message, "give each route a name of its own");
        }
        for earlier in earlier {
            if let Some(shared) = overlap(earlier, route) {
                context.report(
                    route.pattern.span.clone(),
                    format!("`{}` matches what the route `{}` matches{shared}", route.pattern.value, earlier.name.value.0),
                    "make one of them more specific, or join them: the order of routes means nothing",
                );
            }
        }
    }
}

/// Whether two routes are equally specific and match common requests; where, in words.
fn overlap(one: &RouteSection, two: &RouteSection) -> Option<String> {
    if !one.pattern.value.is_alike(&two.pattern.value) {
        return None;
    }
    match (one.hosts.is_empty(), two.hosts.is_empty()) {
        (true, true) => Some(String::new()),
        (false, false) => {
            let shared =
                one.hosts.iter().find(|host| two.hosts.iter().any(|other| other.0 == host.0));
            shared.map(|host| format!(" on `{}`", host.0))
        }
        // The one with hosts is the more specific.
        _ => None,
    }
}
