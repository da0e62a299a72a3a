import { useEffect, useState } from "react";
import { Choice } from "@/components/field";
import { Card } from "@/components/page";
import { useLanguage } from "@/lib/i18n";
import { prefer, usePreferences } from "@/lib/preferences";

/** Which camera to use. Names of cameras are known once the browser was allowed to use one. */
export function CameraChoice() {
  const { t } = useLanguage();
  const { camera } = usePreferences();
  const devices = useCameras();
  const value = "deviceId" in camera ? camera.deviceId : camera.facing;
  const gone = "deviceId" in camera && !devices.some(({ deviceId }) => deviceId === camera.deviceId);
  const options = [
    { value: "user", label: t("camera.front") },
    { value: "environment", label: t("camera.back") },
    ...devices.map(({ deviceId, label }) => ({ value: deviceId, label })),
    ...(gone ? [{ value, label: t("camera.gone") }] : []),
  ];
  return (
    <Card title={t("camera.title")}>
      <Choice
        label={t("camera.which")}
        hint={t("camera.hint")}
        value={value}
        options={options}
        onChange={(chosen) =>
          prefer({
            camera: chosen === "user" || chosen === "environment" ? { facing: chosen } : { deviceId: chosen },
          })
        }
      />
    </Card>
  );
}

function useCameras(): readonly MediaDeviceInfo[] {
  const [cameras, setCameras] = useState<readonly MediaDeviceInfo[]>([]);
  useEffect(() => {
    const devices = navigator.mediaDevices;
    if (devices === undefined) return;
    const read = async () => {
      const all = await devices.enumerateDevices().catch(() => []);
      setCameras(all.filter((each) => each.kind === "videoinput" && each.deviceId !== "" && each.label !== ""));
    };
    void read();
    devices.addEventListener("devicechange", read);
    return () => devices.removeEventListener("devicechange", read);
  }, []);
  return cameras;
}
