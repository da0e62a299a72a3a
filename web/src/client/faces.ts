import { api, asForm, call, type Schema } from "./api";

/** The faces of a picture, whether it could be registered, and why not. */
export async function detect(image: Blob): Promise<Schema["Detection"]> {
  const request = api.POST("/api/v1/detect", { body: { image } as never, bodySerializer: asForm });
  return (await call(request)) as Schema["Detection"];
}
