import { explain } from "@/lib/explain";
import { drop, hold, release } from "@/lib/held";
import { useLanguage } from "@/lib/i18n";
import { toast } from "./toast";

/** Do something that the server cannot take back, 30 seconds later, unless it is undone. */
export function useHold() {
  const { t } = useLanguage();
  return (key: string, message: string, run: () => Promise<unknown>, onUndo?: () => Promise<unknown>) => {
    hold(key, run);
    const undo = async () => {
      drop(key);
      await onUndo?.();
    };
    toast(message, undo, () => void release(key).catch((error: unknown) => toast(explain(error, t))));
  };
}
