import { api, asForm, call, type Schema } from "./api";

/** The faces of a picture, whether it could be registered, and why not. */
export async function detect(image: Blob): Promise<Schema["Detection"]> {
  const request = api.POST("/api/v1/detect", { body: { image } as never, bodySerializer: asForm });
  return (await call(request)) as Schema["Detection"];
}

/** Whom the largest face of a picture resembles, the likest first, however little that is. */
export async function likest(image: Blob): Promise<readonly Schema["Candidate"][]> {
  const request = api.POST("/api/v1/identify", { body: { image } as never, bodySerializer: asForm });
  const { faces } = (await call(request)) as Schema["Identification"];
  const area = ({ box }: (typeof faces)[number]) => box.width * box.height;
  return [...faces].sort((a, b) => area(b) - area(a))[0]?.candidates ?? [];
}
