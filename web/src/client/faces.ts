import { api, asForm, call, type Schema } from "./api";

/** The faces of a picture, whether it could be registered, and why not. */
export async function detect(image: Blob): Promise<Schema["Detection"]> {
  const request = api.POST("/api/v1/detect", { body: { image } as never, bodySerializer: asForm });
  return (await call(request)) as Schema["Detection"];
}

/** Whether a picture shows the same face as another, or as a person; the boxes say which face of each is meant. */
export async function verify(
  fields: { image: Blob; box: Schema["Box"] | null } & (
    | { person_id: string }
    | { image_2: Blob; box_2: Schema["Box"] | null }
  ),
): Promise<Schema["Verification"]> {
  const text = (box: Schema["Box"] | null) => (box === null ? null : JSON.stringify(box));
  const boxes = { box: text(fields.box), ...("box_2" in fields && { box_2: text(fields.box_2) }) };
  const request = api.POST("/api/v1/verify", { body: { ...fields, ...boxes } as never, bodySerializer: asForm });
  return (await call(request)) as Schema["Verification"];
}
