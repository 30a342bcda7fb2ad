// What the page says about a failure: Chinese first, English after it.

export const ITEM_ERRORS = {
  empty_text: "空白文本", text_too_long: "文本太长", invalid_encoding: "编码有误", invalid_line: "格式有误",
  line_too_long: "这一行太长", invalid_json: "不是 JSON", invalid_text: "缺少文本", invalid_id: "编号有误", unknown_field: "有未知字段",
  inference_failed: "模型没能算出结果", worker_lost: "处理中断", attempts_exhausted: "多次尝试仍未成功",
  deadline_exceeded: "超过时限", timed_out: "超过时限", canceled: "已取消",
};

/** A problem's headline; the service's own `detail` is shown under it. */
export function explain({ status, retryAfter }) {
  const later = retryAfter ? `请 ${Math.ceil(retryAfter)} 秒后再试。` : "请稍后再试。";
  if (status === 0) return "连不上服务，请检查网络，并确认 API 正在运行。Cannot reach the service.";
  if (status === 404 || status === 410) return "任务已不在了。The job is gone.";
  if (status === 429) return `请求太频繁，${later}Too many requests.`;
  if (status >= 400 && status < 500) return "内容没有通过检查。Not accepted.";
  if (status === 503) return `服务正忙或暂不可用，${later}The service is busy.`;
  return "服务出错了，请稍后再试。Something went wrong.";
}
