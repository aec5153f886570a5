//! `POST /.tidegate/purge`: what is stored is void from now on, here at once, and everywhere as
//! soon as others hear of it.

use tidegate_core::headers::FieldsMut;
use tidegate_core::invalidate::Resource;
use tidegate_core::purge::order::{JSON_MAX, Order};
use tidegate_core::purge::{Purge, Purges};
use tidegate_core::respond::Problem;
use tidegate_core::{CacheKey, Host, Identity, Method, Request, Scheme, Target, Tier, Timestamp};
use worker::js_sys::futures::JsFuture;
use worker::{console_log, web_sys};

use super::passage::Address;
use super::{Answer, Gate, Stop};
use crate::cache_store::{Place, voided};
use crate::edits::Edits;
use crate::head::{Head, RequestHead};
use crate::purges::keeper;
use crate::url::Url;
use crate::{bearer, clock, platform, purges};

/// The path that asks for it.
pub(super) const PATH: &str = "/.tidegate/purge";

impl Gate {
    /// Whoever shows no token hears nothing of what there is; where the policy names none, not
    /// even that there is something.
    pub(super) async fn purge(
        &self,
        request: &web_sys::Request,
        head: &RequestHead,
        address: &Address<'_>,
    ) -> Answer {
        let refuse = |problem| Err(Stop::Refused(problem, None));
        let authorization = head.fields().text("authorization");
        let shown = authorization.and_then(bearer::token);
        if !bearer::is_shown(&self.policy, &self.env, shown) {
            return refuse(Problem::unauthorized());
        }
        if head.method() != "POST" {
            return refuse(Problem::not_post());
        }
        let body = JsFuture::from(platform::body_text(request, JSON_MAX as u32)).await;
        let body = body.ok().and_then(|body| body.as_string()).unwrap_or_default();
        let said = Order::from_json(body.as_bytes()).and_then(|order| Ok((order.urls()?, order)));
        let (urls, order) = match said {
            Ok(said) => said,
            Err(objection) => return refuse(Problem::bad_request(objection.to_string())),
        };
        let now = clock::now();
        let news = self.void(&order, urls, address, head.fields(), now);
        purges::add(&news);
        // It is JSON, or it were no order; in there line feeds mean nothing.
        let what = body.replace('\n', " ");
        console_log!(r#"{{"log":"purge","what":{what}}}"#);
        if let Err(failure) = keeper::tell(&self.env, &news).await {
            return refuse(Problem::not_told(format!(
                "Purged in this data centre alone: the object PURGES {failure}. Ask again, or see \
                 whether wrangler.toml binds it and the namespace TIDEGATE."
            )));
        }
        let body = format!(
            r#"{{"purged":{what},"at":{},"here":"now","elsewhere":"within a minute as a rule, two at most"}}"#,
            now.as_millis()
        );
        let mut head = Edits::default();
        head.set("content-type", "application/json");
        head.set("cache-control", "no-store");
        platform::respond_with_text(200, &body, head.as_str()).map_err(|_| Stop::Broken("purge"))
    }

    /// Voids what this data centre has stored by the names that lead to it; what others have to
    /// know of it.
    fn void(
        &self,
        order: &Order,
        urls: Vec<Purge>,
        address: &Address<'_>,
        fields: &Head,
        now: Timestamp,
    ) -> Purges {
        let mut news = Purges::default();
        for purge in urls {
            news.add(&purge, now);
        }
        for tag in &order.tags {
            let name = voided::tag(tag);
            self.store.void_later(&self.context, &address.host, &name, now);
            news.add(&Purge::name(&name), now);
        }
        for key in &order.keys {
            let (scheme, authority, target) = match Url::split(key) {
                Some(url) => (url.scheme, url.authority, url.target),
                None => (address.scheme, address.host.as_str(), &**key),
            };
            let (host, target) = (Host::parse(authority, scheme), Target::parse(target));
            if let (Ok(host), Ok(target)) = (host, target) {
                self.void_key((scheme, &host, &target), fields, &mut news, now);
            }
        }
        news
    }

    /// The answers of the key that a request for this has, or of all keys, where it is one for each
    /// who asks.
    fn void_key(
        &self,
        (scheme, host, target): (Scheme, &Host<'_>, &Target<'_>),
        fields: &Head,
        news: &mut Purges,
        now: Timestamp,
    ) {
        // Whatever the fields are: what depends on any is named by its resource.
        let get = Request::read(Method::Get, scheme, host, target, fields);
        let route = self.policy.plan(Tier::Edge, &get).route;
        let Some(rule) = route.and_then(|route| route.cache_rule(Tier::Edge)) else { return };
        if rule.key.is_of_the_target() {
            let place = Place::of(&CacheKey::of(&rule.key, &get, &Identity::Anonymous), host);
            news.add(&Purge::name(place.name()), now);
            self.store.delete_later(&self.context, &place, place.first().to_owned());
        } else {
            let name = voided::resource(&Resource::kept(&rule.key, &get));
            news.add(&Purge::name(&name), now);
            self.store.void_later(&self.context, host, &name, now);
        }
    }
}
