use crate::api::{UNKNOWN_METHOD, count};
use futures::future::{Either, ready};
use jsonrpsee::{
    BatchResponseBuilder, ConnectionId, MethodCallback, MethodResponse, Methods,
    core::middleware::{Batch, BatchEntry, Notification, RpcServiceT},
    types::{ErrorObject, Params, Request, error::METHOD_NOT_FOUND_CODE},
};

/// Finds a call's method and runs it: the one place where all transports meet.
///
/// Notifications are not run: nothing that we serve has an effect which outlives its answer.
#[derive(Debug, Clone)]
pub(super) struct Dispatch {
    methods: Methods,
    connection: ConnectionId,
    response_bytes_max: usize,
}

impl Dispatch {
    pub(super) fn new(methods: Methods, connection: usize, response_bytes_max: u32) -> Self {
        Self { methods, connection: ConnectionId(connection), response_bytes_max: response_bytes_max as usize }
    }
}

impl RpcServiceT for Dispatch {
    type MethodResponse = MethodResponse;
    type NotificationResponse = MethodResponse;
    type BatchResponse = MethodResponse;

    fn call<'a>(&self, request: Request<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let Request { id, method, params, extensions, .. } = request;
        let params = Params::new(params.as_ref().map(|params| params.get()));
        match self.methods.method(&method) {
            Some(MethodCallback::Sync(run)) => {
                Either::Left(ready(run(id, params, self.response_bytes_max, extensions)))
            }
            Some(MethodCallback::Async(run)) => {
                let (id, params) = (id.into_owned(), params.into_owned());
                Either::Right(run(id, params, self.connection, self.response_bytes_max, extensions))
            }
            // No module registers subscriptions: neither transport could carry their events.
            Some(MethodCallback::Subscription(_) | MethodCallback::Unsubscription(_)) | None => {
                count(UNKNOWN_METHOD);
                let message = format!("the method {method} does not exist/is not available");
                let error = ErrorObject::owned(METHOD_NOT_FOUND_CODE, message, None::<()>);
                Either::Left(ready(MethodResponse::error(id, error).with_extensions(extensions)))
            }
        }
    }

    fn batch<'a>(&self, batch: Batch<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let dispatch = self.clone();
        async move {
            let mut answers = BatchResponseBuilder::new_with_limit(dispatch.response_bytes_max);
            let mut notified = false;
            for entry in batch {
                let answer = match entry {
                    Ok(BatchEntry::Call(request)) => dispatch.call(request).await,
                    Ok(BatchEntry::Notification(_)) => {
                        notified = true;
                        continue;
                    }
                    Err(invalid) => {
                        let (error, id) = invalid.into_parts();
                        MethodResponse::error(id, error)
                    }
                };
                if let Err(too_big) = answers.append(answer) {
                    return too_big;
                }
            }
            if answers.is_empty() && notified {
                return MethodResponse::notification();
            }
            MethodResponse::from_batch(answers.finish())
        }
    }

    fn notification<'a>(&self, notification: Notification<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        ready(MethodResponse::notification().with_extensions(notification.extensions))
    }
}
